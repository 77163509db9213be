// Tokens over seconds of one run, or of two: the first in the accent colour, the second dashed.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Run } from "./run";

const HEIGHT = 170;

export class RacePlot {
  private plot: uPlot | null = null;
  private names = "";

  constructor(private readonly root: HTMLElement) {
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.forget());
  }

  draw(runs: Run[]): void {
    const names = runs.map((run) => run.method).join(" ");
    if (names !== this.names) this.forget();
    this.names = names;
    const tables = runs.map(
      (run): uPlot.AlignedData => [
        run.points.map((point) => point.seconds),
        run.points.map((point) => point.tokens),
      ],
    );
    const data = tables.length > 0 ? uPlot.join(tables) : ([[]] as uPlot.AlignedData);
    if (this.plot) this.plot.setData(data);
    else this.plot = new uPlot(this.options(runs), data, this.root);
  }

  private forget(): void {
    this.plot?.destroy();
    this.plot = null;
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(this.root.clientWidth, 200), height: HEIGHT };
  }

  private options(runs: Run[]): uPlot.Options {
    const style = getComputedStyle(this.root);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis: uPlot.Axis = {
      stroke: colour("--quiet"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1, size: 4 },
    };
    return {
      ...this.size(),
      scales: { x: { time: false } },
      cursor: { y: false, points: { size: 6 } },
      axes: [
        { ...axis, size: 26, values: (_, values) => values.map((value) => `${value} s`) },
        { ...axis, size: 38 },
      ],
      series: [
        { label: "s", value: (_, value: number | null) => (value === null ? "–" : value.toFixed(3)) },
        ...runs.map(
          (run, i): uPlot.Series => ({
            label: run.method,
            stroke: colour(i === 0 ? "--accent" : "--ink"),
            width: 1.75,
            dash: i === 0 ? [] : [5, 4],
            spanGaps: true,
            points: { show: false },
          }),
        ),
      ],
    };
  }
}
