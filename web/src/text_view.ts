// A text of which it shows how each token came: guessed by a draft and right, or chosen by the
// pass; and, behind it, which guesses were wrong and what stands there for now.

import type { Pass } from "./api";
import { TokenTexts, shown } from "./token_text";

export class TextView {
  private readonly text = document.createElement("span");
  private readonly tail = document.createElement("span");
  private readonly texts = new TokenTexts();
  private readonly byPass: HTMLElement[][] = [];
  private marked: HTMLElement[] = [];

  /** `onPick` is told the number of a pass, from 1 on, whose token is clicked. */
  constructor(root: HTMLElement, prompt: string, onPick: (pass: number) => void) {
    this.tail.className = "tail";
    root.replaceChildren(span("given", prompt), this.text, this.tail);
    root.addEventListener("click", (event) => {
      const pass = (event.target as HTMLElement).dataset["pass"];
      if (pass) onPick(Number(pass));
    });
  }

  /** The next pass. */
  add(pass: Pass): void {
    const number = String(this.byPass.length + 1);
    const tokens = pass.committed.map((token, i) => {
      const element = span(
        i < pass.pass.accepted ? "right" : "chosen",
        this.texts.next(token ?? ""),
      );
      element.dataset["pass"] = number;
      return element;
    });
    this.byPass.push(tokens);
    this.text.append(...tokens);
    this.tail.replaceChildren(
      ...pass.rejected.map((token) => span("wrong", shown(token))),
      ...pass.provisional.map((token) => span("maybe", shown(token))),
    );
  }

  /** Nothing comes any more; `text` is all that came. Passes may have been left out, text is not. */
  end(text: string): void {
    this.tail.replaceChildren();
    if (!this.text.textContent?.startsWith(text)) this.text.textContent = text;
  }

  /** Shows which tokens a pass brought; 0: none. */
  mark(number: number): void {
    for (const token of this.marked) token.classList.remove("marked");
    this.marked = this.byPass[number - 1] ?? [];
    for (const token of this.marked) token.classList.add("marked");
  }
}

function span(className: string, text: string): HTMLElement {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}
