// Shows passes at a pace that eyes can follow: as they come, at most once a frame, or so many a
// second.

/** What is behind is shown, oldest first; `done` once all that will ever come has been. */
export class Player<Item> {
  private waiting: Item[] = [];
  private ended = false;
  private last = 0;
  private frame = 0;
  private finish: () => void = () => {};
  readonly done = new Promise<void>((resolve) => (this.finish = resolve));

  /** `perSecond` 0: as they come; never more often than every `least` milliseconds. */
  constructor(
    private readonly show: (items: Item[]) => void,
    private readonly perSecond: number,
    private readonly least: number,
  ) {}

  add(item: Item): void {
    this.waiting.push(item);
    this.schedule();
  }

  /** Nothing more comes; what waits is still shown at its pace. */
  end(): void {
    this.ended = true;
    this.schedule();
  }

  /** What waits is shown at once. */
  hurry(): void {
    this.present(this.waiting.length);
    this.end();
  }

  private schedule(): void {
    // Frames stop while nobody looks at the page, and the text must go on.
    if (this.frame === 0) {
      this.frame = document.hidden
        ? window.setTimeout(() => this.tick(), 100)
        : requestAnimationFrame(() => this.tick());
    }
  }

  private tick(): void {
    this.frame = 0;
    const pause = this.perSecond > 0 ? 1000 / this.perSecond : this.least;
    if (performance.now() - this.last >= pause) {
      this.present(this.perSecond > 0 ? 1 : this.waiting.length);
    }
    if (this.waiting.length > 0) this.schedule();
    else if (this.ended) this.finish();
  }

  private present(most: number): void {
    if (this.waiting.length === 0) return;
    this.last = performance.now();
    this.show(this.waiting.splice(0, most));
  }
}
