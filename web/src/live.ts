// What the server does for all its clients, every two seconds while somebody looks: a line of figures
// from /metrics, and the tokens a second of the last minute.

import type uPlot from "uplot";
import { fetchMetrics } from "./api";
import { inSeconds, Plot } from "./plot";
import type { Colour, PlotOptions } from "./plot";

const EVERY_MS = 2000;
const KEPT_S = 60;

export class Live extends Plot {
  private readonly rates: { seconds: number; rate: number }[] = [];
  private last: { seconds: number; tokens: number } | null = null;

  constructor(
    private readonly line: HTMLElement,
    root: HTMLElement,
  ) {
    super(root, 90);
  }

  /** Until the page is closed. A page that nobody sees asks nothing. */
  start(): void {
    const ask = async (): Promise<void> => {
      if (document.visibilityState === "visible") await this.look();
      setTimeout(() => void ask(), EVERY_MS);
    };
    void ask();
  }

  private async look(): Promise<void> {
    let metrics: Map<string, number>;
    try {
      metrics = await fetchMetrics();
    } catch (failure) {
      this.line.textContent = (failure as Error).message;
      this.last = null;
      return;
    }
    const figure = (name: string): number => metrics.get(`tidar:${name}`) ?? 0;
    const now = { seconds: performance.now() / 1000, tokens: figure("generation_tokens_total") };
    const rate = this.last ? (now.tokens - this.last.tokens) / (now.seconds - this.last.seconds) : 0;
    this.last = now;
    this.line.textContent =
      `${rate.toFixed(0)} tokens/s · ${figure("num_requests_running")} at work, ` +
      `${figure("num_requests_waiting")} waiting · ` +
      `${Math.round(100 * figure("kv_cache_usage_perc"))} % of pages`;
    this.rates.push({ seconds: now.seconds, rate });
    while ((this.rates[0]?.seconds ?? 0) < now.seconds - KEPT_S) this.rates.shift();
    this.show([
      this.rates.map((sample) => sample.seconds - now.seconds),
      this.rates.map((sample) => sample.rate),
    ]);
  }

  protected options(colour: Colour, axis: uPlot.Axis): PlotOptions {
    return {
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: [-KEPT_S, 0] },
        y: { range: (_, __, most) => [0, Math.max(most, 1)] },
      },
      axes: [
        { ...axis, size: 26, values: inSeconds },
        { ...axis, size: 44 },
      ],
      series: [{}, { stroke: colour("--accent"), width: 1.5, points: { show: false } }],
    };
  }
}
