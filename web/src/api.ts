// What the server is asked and answers: the part of docs/serving.md that the page uses.

export interface Props {
  model: string;
  context: number;
  vocabulary: number;
  method: string;
  /** Those that a request may name. */
  methods: string[];
  chat: boolean;
  most_outputs: number;
}

/** A row of a pass, and the keys that it sees: [from, to), cached ones first. */
export interface Row {
  kind: "text" | "draft" | "guess" | "mask" | "canvas";
  text: string | null;
  position: number;
  group?: number;
  sees: [number, number][];
}

/** What one pass brought: the data of an event of type "draft". */
export interface Pass {
  index: number;
  committed: (string | null)[];
  rejected: (string | null)[];
  provisional: (string | null)[];
  pass: {
    decoding: boolean;
    rows: number;
    asked: number;
    drafted: number;
    accepted: number;
    groups: { group: number; masks: number; used: boolean }[];
    guessed: { group: number; masks: number; used: boolean }[];
    offer: { guesses: unknown[]; groups: { group: number; masks: number }[]; granted: number } | null;
    pass: { rows: number; asked: number; expected_s: number | null; seconds: number };
  };
  seen: { cached: number; rows: Row[] } | null;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  completion_tokens_details: {
    accepted_prediction_tokens: number;
    rejected_prediction_tokens: number;
  };
  tidar: { method: string; equals_ar: boolean; passes: number };
}

/** What happens on a stream, in its order. */
export type StreamEvent =
  | { kind: "text"; text: string; finish: string | null }
  | { kind: "pass"; pass: Pass }
  | { kind: "usage"; usage: Usage };

export interface Message {
  role: "user" | "assistant";
  content: string;
}

/** The fields of a request; those that are undefined are left out. */
export interface Wish {
  prompt?: string;
  messages?: Message[];
  max_tokens: number;
  temperature: number;
  seed?: number;
  method?: string;
  draft_length?: number;
}

/** Something that a person can act upon, said by the server or about it. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status = 0,
  ) {
    super(message);
  }
}

/** The key is kept for as long as the tab is open. */
const KEY = "tidar.key";
export const apiKey = {
  get: (): string => sessionStorage.getItem(KEY) ?? "",
  set: (key: string): void =>
    key === "" ? sessionStorage.removeItem(KEY) : sessionStorage.setItem(KEY, key),
};

async function request(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  if (apiKey.get() !== "") headers.set("Authorization", `Bearer ${apiKey.get()}`);
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (failure) {
    if (options.signal?.aborted) throw failure;
    throw new ApiError("The server does not answer. It may have been stopped; start it and try again.");
  }
  if (response.ok) return response;
  const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
  throw new ApiError(sentence(body?.error?.message ?? response.statusText), response.status);
}

/** "the prompt is empty" -> "The prompt is empty." */
function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

export async function fetchProps(): Promise<Props> {
  return (await (await request("/props")).json()) as Props;
}

/** The samples of /metrics, by all that stands before their values. */
export async function fetchMetrics(): Promise<Map<string, number>> {
  const lines = (await (await request("/metrics")).text()).split("\n");
  const samples = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line): [string, number] => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

/** Events as the server sends them, until the stream ends or `signal` says so. */
export async function* stream(wish: Wish, signal: AbortSignal): AsyncGenerator<StreamEvent> {
  const response = await request(wish.messages ? "/v1/chat/completions" : "/v1/completions", {
    method: "POST",
    signal,
    body: JSON.stringify({
      ...wish,
      stream: true,
      stream_options: { include_usage: true, include_drafts: true, include_rows: true },
    }),
  });
  if (!response.body) return;
  for await (const { type, data } of serverSentEvents(response.body)) {
    if (data === "[DONE]") return;
    yield* eventsOf(type, JSON.parse(data) as Chunk);
  }
  if (!signal.aborted) throw new ApiError("The stream ended early. The server may have been stopped.");
}

interface Chunk {
  choices?: { text?: string; delta?: { content?: string }; finish_reason: string | null }[];
  draft?: Pass;
  usage?: Usage;
  error?: { message: string };
}

function* eventsOf(type: string, chunk: Chunk): Generator<StreamEvent> {
  if (chunk.error) throw new ApiError(sentence(chunk.error.message));
  if (type === "draft" && chunk.draft) yield { kind: "pass", pass: chunk.draft };
  for (const choice of chunk.choices ?? []) {
    const text = choice.text ?? choice.delta?.content ?? "";
    yield { kind: "text", text, finish: choice.finish_reason };
  }
  if (chunk.usage) yield { kind: "usage", usage: chunk.usage };
}

/** The events of a body in the format of server-sent events. */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<{ type: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      let type = "";
      let data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) type = line.slice(7);
        if (line.startsWith("data: ")) data += line.slice(6);
      }
      yield { type, data };
    }
  }
}
