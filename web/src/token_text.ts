// Tokens as the server writes them: text, or "bytes:\xe2\x82" where they are no text by themselves.

const BYTES = /^bytes:((?:\\x[0-9a-f]{2})+)$/;

/** Texts of tokens that follow each other; a character in pieces stands with the last of them. */
export class TokenTexts {
  private readonly decoder = new TextDecoder();
  private readonly encoder = new TextEncoder();

  next(token: string): string {
    const bytes = BYTES.exec(token)?.[1];
    return this.decoder.decode(bytes ? bytesOf(bytes) : this.encoder.encode(token), {
      stream: true,
    });
  }
}

function bytesOf(escapes: string): Uint8Array {
  return Uint8Array.from(escapes.split("\\x").slice(1), (byte) => parseInt(byte, 16));
}

/** What one token looks like alone. */
export function shown(token: string | null): string {
  if (token === null) return "▁";
  return BYTES.test(token) ? "�" : token;
}
