// The picture of a pass: a line for each of its rows, a column for each key, a cell where the row
// sees the key. Cached keys, of which there may be thousands, stand as one bar on the left.

import type { Pass, Row } from "./api";

const GUTTER = 14;
const CACHED = 34;
const MOST_CELL = 13;
const MOST_HEIGHT = 420;

type Look = "text" | "right" | "wrong" | "used" | "unused";

export class PassPicture {
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly caption: HTMLElement,
  ) {}

  draw(pass: Pass | undefined): void {
    const rows = pass?.seen?.rows ?? [];
    const width = this.canvas.parentElement?.clientWidth ?? 320;
    const cell = Math.max(
      1,
      Math.min(
        MOST_CELL,
        (width - GUTTER - CACHED) / Math.max(rows.length, 1),
        MOST_HEIGHT / Math.max(rows.length, 1),
      ),
    );
    const pen = this.open(width, Math.max(rows.length * cell, 8));
    const words = pass ? describe(pass) : "";
    this.canvas.setAttribute("aria-label", words || "No pass yet");
    if (pass) this.caption.textContent = words;
    if (!pass?.seen) return;
    const looks = looksOf(pass, rows);
    const colours = this.colours();
    rows.forEach((row, i) => {
      const y = i * cell;
      const look = looks[i] ?? "text";
      pen.fillStyle = pen.strokeStyle = colours[look];
      mark(pen, look, y, cell);
      for (const [from, to] of row.sees) {
        this.see(pen, from, to, pass.seen?.cached ?? 0, y, cell, look);
      }
    });
  }

  private open(width: number, height: number): CanvasRenderingContext2D {
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    if (!pen) throw new Error("no canvas");
    pen.scale(scale, scale);
    return pen;
  }

  private colours(): Record<Look, string> {
    const style = getComputedStyle(this.canvas);
    const of = (name: string) => style.getPropertyValue(name).trim();
    return {
      text: of("--ink"),
      right: of("--accent"),
      wrong: of("--accent"),
      used: of("--mask"),
      unused: of("--mask-pale"),
    };
  }

  private see(
    pen: CanvasRenderingContext2D,
    from: number,
    to: number,
    cached: number,
    y: number,
    cell: number,
    look: Look,
  ): void {
    const gap = cell >= 4 ? 1 : 0;
    const size = cell - gap;
    if (from < cached) {
      const part = (CACHED - 6) / cached;
      pen.globalAlpha = 0.35;
      pen.fillRect(GUTTER + from * part, y, (Math.min(to, cached) - from) * part, size);
      pen.globalAlpha = 1;
    }
    for (let key = Math.max(from, cached); key < to; ++key) {
      const x = GUTTER + CACHED + (key - cached) * cell;
      if (look === "wrong" && cell >= 4) pen.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
      else pen.fillRect(x, y, size, size);
    }
  }
}

/** What a row is, as a shape: colours alone do not tell everybody. */
function mark(pen: CanvasRenderingContext2D, look: Look, y: number, cell: number): void {
  const size = Math.min(cell - 1, 7);
  if (size < 2) return;
  const x = 2;
  const top = y + (cell - 1 - size) / 2;
  pen.beginPath();
  if (look === "text") pen.arc(x + size / 2, top + size / 2, size / 2, 0, 2 * Math.PI);
  else if (look === "right" || look === "wrong") {
    pen.moveTo(x + size / 2, top);
    pen.lineTo(x + size, top + size / 2);
    pen.lineTo(x + size / 2, top + size);
    pen.lineTo(x, top + size / 2);
    pen.closePath();
  } else pen.rect(x + size / 3, top, size / 3, size);
  if (look === "wrong") pen.stroke();
  else pen.fill();
}

function looksOf(pass: Pass, rows: Row[]): Look[] {
  const usedOf = (groups: { group: number; used: boolean }[]) =>
    groups.find((group) => group.used)?.group;
  const used = { mask: usedOf(pass.pass.groups), guess: usedOf(pass.pass.guessed) };
  let drafts = 0;
  return rows.map((row) => {
    if (row.kind === "text") return "text";
    if (row.kind === "draft") return drafts++ < pass.pass.accepted ? "right" : "wrong";
    if (row.kind === "canvas") return row.text === null ? "used" : "text";
    const isUsed = row.group === used[row.kind];
    if (row.text !== null) return isUsed ? "right" : "wrong";
    return isUsed ? "used" : "unused";
  });
}

/** The picture in words. */
function describe(pass: Pass): string {
  const { rows, drafted, accepted, groups, guessed, decoding, pass: whole, offer } = pass.pass;
  const parts: string[] = [];
  if (!decoding) parts.push(`reads ${count(rows, "row")} of the prompt`);
  else parts.push(`${count(rows, "row")} brought ${count(pass.committed.length, "token")}`);
  if (drafted > 0) parts.push(`${accepted} of ${count(drafted, "guess", "guesses")} right`);
  if (groups.length + guessed.length > 0) {
    const used = groups.find((group) => group.used);
    const from = used ? `, the next draft is from that for ${count(used.group, "token")}` : "";
    parts.push(`${count(groups.length + guessed.length, "group")} of masks${from}`);
  }
  if (offer) parts.push(`${offer.granted} rows granted`);
  if (whole.rows > rows) parts.push(`${whole.rows} rows with those of other streams`);
  parts.push(`${(1000 * whole.seconds).toFixed(2)} ms`);
  const words = parts.join(" · ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
