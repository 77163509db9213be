// One answer on the page: its name, its figures, and its text.

import type { Pass } from "./api";
import type { Run } from "./run";
import { TextView } from "./text_view";

export class Lane {
  readonly root = element("article", "lane");
  readonly view: TextView;
  private readonly figures = element("dl", "figures");
  private readonly told = element("p", "told");

  constructor(
    readonly run: Run,
    prompt: string,
    onPick: (lane: Lane, pass: number) => void,
  ) {
    const text = element("div", "written");
    this.view = new TextView(text, prompt, (pass) => onPick(this, pass));
    const title = element("h2");
    title.textContent = run.method;
    this.root.append(title, this.figures, text, this.told);
    this.showFigures();
  }

  /** Passes of the run that are on the page. */
  shown = 0;

  show(passes: Pass[]): void {
    for (const pass of passes) this.view.add(pass);
    this.shown += passes.length;
    this.showFigures();
  }

  showFigures(): void {
    const { run } = this;
    const figures: [string, string][] = [
      ["tokens/s", number(run.tokensPerSecond, 0)],
      ["tokens/pass", number(run.tokensPerPass, 2)],
      ["tokens", String(run.tokens)],
      ["passes", String(run.decodingPasses)],
    ];
    if (run.drafted > 0) figures.push(["guesses right", `${number(100 * (run.acceptedShare ?? 0), 0)} %`]);
    this.figures.replaceChildren(
      ...figures.map(([name, value]) => {
        const pair = element("div");
        const term = element("dt");
        const definition = element("dd");
        term.textContent = name;
        definition.textContent = value;
        pair.append(term, definition);
        return pair;
      }),
    );
  }

  end(how: string): void {
    this.view.end(this.run.text);
    this.showFigures();
    const usage = this.run.usage;
    const exact = usage?.tidar.equals_ar
      ? "Exactly the text of autoregressive decoding."
      : usage
        ? "Not promised to be the text of autoregressive decoding."
        : "";
    this.told.textContent = `${how} ${exact}`.trim();
  }
}

function number(value: number | null, digits: number): string {
  return value === null ? "–" : value.toFixed(digits);
}

export function element(name: string, className = ""): HTMLElement {
  const made = document.createElement(name);
  if (className) made.className = className;
  return made;
}
