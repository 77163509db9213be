// A plot as wide as its place and in the page's colours.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export type Colour = (name: string) => string;
export type PlotOptions = Omit<uPlot.Options, "width" | "height">;

export abstract class Plot {
  private plot: uPlot | null = null;

  constructor(
    private readonly root: HTMLElement,
    private readonly height: number,
  ) {
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.forget());
  }

  /** How to draw; asked for again after forget(). */
  protected abstract options(colour: Colour, axis: uPlot.Axis): PlotOptions;

  protected show(data: uPlot.AlignedData): void {
    if (this.plot) this.plot.setData(data);
    else this.plot = new uPlot({ ...this.size(), ...this.styled() }, data, this.root);
  }

  protected forget(): void {
    this.plot?.destroy();
    this.plot = null;
  }

  private styled(): PlotOptions {
    const style = getComputedStyle(this.root);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    return this.options(colour, {
      stroke: colour("--quiet"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1, size: 4 },
    });
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(this.root.clientWidth, 200), height: this.height };
  }
}

export const inSeconds: uPlot.Axis["values"] = (_, values) => values.map((value) => `${value} s`);
