// One answer on its way: what its stream told, and the numbers that follow from it.

import type { Pass, StreamEvent, Usage } from "./api";

export interface Point {
  /** That the server's passes took since the first token. */
  seconds: number;
  tokens: number;
}

/** How a run shows what happens to it. */
export interface Watcher {
  onPass(pass: Pass, number: number): void;
}

export class Run {
  readonly passes: Pass[] = [];
  readonly points: Point[] = [];
  text = "";
  finish: string | null = null;
  usage: Usage | null = null;
  tokens = 0;
  decodingPasses = 0;
  decodedTokens = 0;
  drafted = 0;
  accepted = 0;
  private seconds = 0;

  constructor(readonly method: string) {}

  take(event: StreamEvent): void {
    if (event.kind === "usage") this.usage = event.usage;
    if (event.kind === "text") {
      this.text += event.text;
      this.finish = event.finish ?? this.finish;
    }
    if (event.kind === "pass") this.count(event.pass);
  }

  private count(pass: Pass): void {
    this.passes.push(pass);
    const brought = pass.committed.length;
    this.tokens += brought;
    // The server's own clock: what the way here adds is none of the method's doing.
    if (this.points.length > 0) this.seconds += pass.pass.pass.seconds;
    if (brought > 0) this.points.push({ seconds: this.seconds, tokens: this.tokens });
    if (!pass.pass.decoding) return;
    this.decodingPasses += 1;
    this.decodedTokens += brought;
    this.drafted += pass.pass.drafted;
    this.accepted += pass.pass.accepted;
  }

  get tokensPerPass(): number | null {
    return this.decodingPasses > 0 ? this.decodedTokens / this.decodingPasses : null;
  }

  /** Of what came after the first tokens; null while that is too little to tell. */
  get tokensPerSecond(): number | null {
    const before = this.points[0]?.tokens ?? 0;
    return this.seconds > 0 ? (this.tokens - before) / this.seconds : null;
  }

  get acceptedShare(): number | null {
    return this.drafted > 0 ? this.accepted / this.drafted : null;
  }
}
