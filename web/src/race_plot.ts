// Tokens over seconds of one run, or of two: the first in the accent colour, the second dashed.

import uPlot from "uplot";
import { inSeconds, Plot } from "./plot";
import type { Colour, PlotOptions } from "./plot";
import type { Run } from "./run";

export class RacePlot extends Plot {
  private methods: string[] = [];

  constructor(root: HTMLElement) {
    super(root, 170);
  }

  draw(runs: Run[]): void {
    const methods = runs.map((run) => run.method);
    if (methods.join(" ") !== this.methods.join(" ")) this.forget();
    this.methods = methods;
    const tables = runs.map(
      (run): uPlot.AlignedData => [
        run.points.map((point) => point.seconds),
        run.points.map((point) => point.tokens),
      ],
    );
    this.show(tables.length > 0 ? uPlot.join(tables) : ([[]] as uPlot.AlignedData));
  }

  protected options(colour: Colour, axis: uPlot.Axis): PlotOptions {
    return {
      scales: { x: { time: false } },
      cursor: { y: false, points: { size: 6 } },
      axes: [
        { ...axis, size: 26, values: inSeconds },
        { ...axis, size: 38 },
      ],
      series: [
        { label: "s", value: (_, value: number | null) => (value === null ? "–" : value.toFixed(3)) },
        ...this.methods.map(
          (method, i): uPlot.Series => ({
            label: method,
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
