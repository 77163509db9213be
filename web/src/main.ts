// The page: what is asked, the runs that follow, and what is shown of them.

import "./style.css";
import { ApiError, apiKey, fetchProps, stream } from "./api";
import type { Message, Pass, Props, Wish } from "./api";
import { Lane, element } from "./lane";
import { Live } from "./live";
import { PassPicture } from "./pass_picture";
import { Player } from "./player";
import { RacePlot } from "./race_plot";
import { Run } from "./run";

type Mode = "completion" | "chat" | "race";

const byId = <Kind extends HTMLElement>(id: string): Kind => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no #${id}`);
  return found as Kind;
};

const form = byId<HTMLFormElement>("wish");
const prompt = byId<HTMLTextAreaElement>("prompt");
const key = byId<HTMLInputElement>("key");
const scrub = byId<HTMLInputElement>("scrub");
const answers = byId("answers");
const picture = new PassPicture(byId<HTMLCanvasElement>("picture"), byId("caption"));
const plot = new RacePlot(byId("plot"));
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

let props: Props | null = null;
let stopping: AbortController | null = null;
let lanes: Lane[] = []; // of the last run or race; the picture is of `looked`
let looked: Lane | null = null;
let conversation: Message[] = [];

// ---- what is asked

const field = (name: string): string => {
  const found = form.elements.namedItem(name);
  return (found as HTMLInputElement | HTMLSelectElement | RadioNodeList).value;
};
const numberOf = (name: string): number | undefined =>
  field(name) === "" ? undefined : Number(field(name));
const mode = (): Mode => field("mode") as Mode;

function wishOf(method: string): Wish {
  return {
    ...(mode() === "chat" ? { messages: conversation } : { prompt: prompt.value }),
    max_tokens: numberOf("max_tokens") ?? 160,
    temperature: numberOf("temperature") ?? 0,
    seed: numberOf("seed"),
    method: method === "" ? undefined : method,
    draft_length: drafts(method) ? numberOf("draft_length") : undefined,
  };
}

/** Whether the method has drafts of a length. */
function drafts(method: string): boolean {
  const meant = method === "" ? props?.method : method;
  return meant === "tidar" || meant === "self-speculative" || meant === "lookup";
}

/** Those of a race share their seed, so that they draw alike. */
function wishes(): Wish[] {
  if (mode() !== "race") return [wishOf(field("method"))];
  const chosen = field("method");
  const raced = chosen === "" || chosen === "ar" ? (props?.method ?? "tidar") : chosen;
  const seed = numberOf("seed") ?? Math.floor(Math.random() * 2 ** 31);
  return [raced === "ar" ? "tidar" : raced, "ar"].map((method) => ({ ...wishOf(method), seed }));
}

// ---- runs

async function go(): Promise<void> {
  if (stopping) return;
  showError(null);
  const asked = prompt.value;
  if (mode() === "chat") conversation.push({ role: "user", content: asked });
  const planned = wishes();
  const control = (stopping = new AbortController());
  // For those who drive the page: it may be busy for less time than they need to look.
  document.body.dataset["runs"] = String(Number(document.body.dataset["runs"] ?? 0) + 1);
  setBusy(true);
  openAnswers(planned, asked);
  try {
    for (const [i, lane] of lanes.entries()) {
      const wish = planned[i];
      if (wish) await carryOut(lane, wish, control.signal);
    }
    if (mode() === "race" && !control.signal.aborted) showVerdict();
    if (mode() === "chat") keepAnswer();
  } catch (failure) {
    if (mode() === "chat") conversation.pop();
    showError(failure);
  } finally {
    stopping = null;
    setBusy(false);
  }
}

/** Lanes for what is planned; in a chat behind those that are there. */
function openAnswers(planned: Wish[], asked: string): void {
  const chats = mode() === "chat";
  answers.classList.toggle("conversing", chats);
  if (!chats || conversation.length === 1) answers.replaceChildren();
  if (chats) {
    const question = element("p", "asked");
    question.textContent = asked;
    answers.append(question);
    prompt.value = "";
  }
  lanes = planned.map((wish) => {
    const run = new Run(wish.method ?? props?.method ?? "");
    return new Lane(run, chats ? "" : asked, (lane, pass) => look(lane, pass));
  });
  answers.append(...lanes.map((lane) => lane.root));
}

async function carryOut(lane: Lane, wish: Wish, signal: AbortSignal): Promise<void> {
  looked?.view.mark(0);
  looked = lane;
  const player = new Player<Pass>(
    (passes) => showPasses(lane, passes),
    Number(field("pace")),
    stillness.matches ? 250 : 0,
  );
  const stop = (): void => player.hurry();
  signal.addEventListener("abort", stop);
  let how = "";
  try {
    for await (const event of stream(wish, signal)) {
      lane.run.take(event);
      if (event.kind === "pass") player.add(event.pass);
    }
    how = ended(lane.run.finish);
  } catch (failure) {
    player.hurry();
    if (!signal.aborted) throw failure;
    how = "Stopped.";
  } finally {
    player.end();
    await player.done;
    signal.removeEventListener("abort", stop);
    lane.end(how);
    drawPlot();
  }
  announce(`${lane.run.method}: ${lane.run.tokens} tokens. ${how}`);
}

function ended(finish: string | null): string {
  if (finish === "length") return "Ended at the limit of tokens.";
  return finish === "stop" ? "Ended by the model." : "";
}

function keepAnswer(): void {
  const text = lanes[0]?.run.text ?? "";
  conversation.push({ role: "assistant", content: text });
}

// ---- what is shown

function showPasses(lane: Lane, passes: Pass[]): void {
  lane.show(passes);
  if (looked === lane) showPass(lane, lane.shown);
  drawPlot();
}

/** Looks at one pass of a lane. */
function showPass(lane: Lane, pass: number): void {
  scrub.max = String(Math.max(lane.shown, 1));
  scrub.value = String(pass);
  scrub.disabled = lane.shown < 2;
  byId("pass-number").textContent = `${pass} of ${lane.shown} · ${lane.run.method}`;
  picture.draw(lane.run.passes[pass - 1]);
}

/** And shows which tokens it brought. */
function look(lane: Lane, pass: number): void {
  looked?.view.mark(0);
  looked = lane;
  showPass(lane, pass);
  lane.view.mark(pass);
}

function drawPlot(): void {
  plot.draw(lanes.map((lane) => lane.run));
}

function showVerdict(): void {
  const [raced, plain] = lanes;
  if (!raced || !plain) return;
  const same = raced.run.text === plain.run.text;
  const verdict = element("p", same ? "verdict" : "verdict differs");
  const answer = element("b");
  answer.textContent = same ? "yes" : "no";
  const [fast, slow] = [raced.run.tokensPerSecond, plain.run.tokensPerSecond];
  const times = fast && slow ? ` ${(fast / slow).toFixed(2)} times the tokens a second of ar.` : "";
  verdict.append("Same text: ", answer, `.${times} Each ran alone, one after the other.`);
  answers.append(verdict);
}

function showError(failure: unknown): void {
  const error = byId("error");
  error.hidden = failure === null;
  if (failure === null) return;
  error.textContent =
    failure instanceof ApiError ? failure.message : `Something went wrong in the page: ${String(failure)}`;
  if (failure instanceof ApiError && failure.status === 401) key.focus();
}

function setBusy(busy: boolean): void {
  byId<HTMLButtonElement>("go").disabled = busy;
  byId<HTMLButtonElement>("stop").disabled = !busy;
  answers.setAttribute("aria-busy", String(busy));
}

function announce(text: string): void {
  byId("status").textContent = text;
}

function showMode(): void {
  const chats = mode() === "chat";
  byId("prompt-label").textContent = chats ? "Message" : "Prompt";
  byId("anew").hidden = !chats;
  byId("go").textContent = chats ? "Send" : mode() === "race" ? "Race" : "Run";
}

function beginAnew(): void {
  conversation = [];
  answers.replaceChildren();
  prompt.focus();
}

// ---- wiring

async function greet(): Promise<void> {
  try {
    props = await fetchProps();
  } catch (failure) {
    return showError(failure);
  }
  document.title = `${props.model} · tidar`;
  byId("model").textContent = `${props.model} · context ${props.context} tokens · ${props.method}`;
  byId("chat-mode").hidden = !props.chat;
  const select = form.elements.namedItem("method") as HTMLSelectElement;
  const methods = props.methods;
  select.replaceChildren(
    new Option(`as served (${props.method})`, ""),
    ...methods.map((name) => new Option(name, name)),
  );
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void go();
});
form.addEventListener("change", showMode);
byId("stop").addEventListener("click", () => stopping?.abort());
byId("anew").addEventListener("click", beginAnew);
key.value = apiKey.get();
key.addEventListener("input", () => apiKey.set(key.value));
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stopping?.abort();
});
scrub.addEventListener("input", () => {
  if (looked) look(looked, Number(scrub.value));
});
const redraw = (): void => {
  if (looked) picture.draw(looked.run.passes[Number(scrub.value) - 1]);
};
window.addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  redraw();
  if (lanes.length > 0) drawPlot();
});
showMode();
void greet();
new Live(byId("live"), byId("live-plot")).start();
