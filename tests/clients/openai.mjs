// OpenAI's own client. Reads {"url", "key", "model", "completion", "chat"} from stdin, the latter
// two each {"body", "answer"} as plain HTTP had them, and fails where the client sees anything else.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { zodResponseFormat } from "openai/helpers/zod";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from "openai";

const given = JSON.parse(readFileSync(0, "utf8"));
const client = new OpenAI({ baseURL: `${given.url}/v1`, apiKey: given.key, maxRetries: 0 });
const named = (body) => ({ model: given.model, ...body });

async function answers() {
  const [model] = (await client.models.list()).data;
  assert.equal(model.id, given.model);
  const text = await client.completions.create(named(given.completion.body));
  assert.deepEqual(text.choices, given.completion.answer.choices);
  assert.deepEqual(text.usage, given.completion.answer.usage);
  const chat = await client.chat.completions.create(named(given.chat.body));
  assert.deepEqual(chat.choices, given.chat.answer.choices);
  const told = chat.choices[0].logprobs.content;
  assert.equal(told.length, chat.usage.completion_tokens);
  for (const token of told) {
    assert.equal(token.top_logprobs.length, given.chat.body.top_logprobs);
    assert.equal(token.logprob, token.top_logprobs[0].logprob, "greedy");
  }
}

async function streams() {
  for (const include_drafts of [false, true]) {
    const options = { stream: true, stream_options: { include_usage: true, include_drafts } };
    let text = "";
    let usage;
    for await (const chunk of await client.completions.create(
      named({ ...given.completion.body, ...options }),
    )) {
      text += chunk.choices[0]?.text ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, given.completion.answer.choices[0].text);
    assert.deepEqual(usage, given.completion.answer.usage);

    let content = "";
    let tokens = 0;
    for await (const chunk of await client.chat.completions.create(
      named({ ...given.chat.body, ...options }),
    )) {
      content += chunk.choices[0]?.delta.content ?? "";
      tokens += chunk.choices[0]?.logprobs?.content?.length ?? 0;
    }
    assert.equal(content, given.chat.answer.choices[0].message.content);
    assert.equal(tokens, given.chat.answer.usage.completion_tokens);
  }
  const helper = client.chat.completions.stream(named(given.chat.body));
  const whole = await helper.finalChatCompletion();
  assert.equal(whole.choices[0].message.content, given.chat.answer.choices[0].message.content);
}

// The form of answers by OpenAI's helpers: what its own parser takes, whatever the model would say.
async function structured() {
  const Node = z.object({
    name: z.enum(["left", "right"]),
    count: z.number().int(),
    tags: z.array(z.boolean()).max(3),
    note: z.union([z.null(), z.literal("é\"\\n")]),
    get next() {
      return z.union([Node, z.null()]);
    },
  });
  for (const method of ["ar", "tidar"]) {
    const chat = await client.chat.completions.parse(
      named({
        messages: given.chat.body.messages,
        response_format: zodResponseFormat(Node, "node"),
        max_tokens: 400,
        seed: 7,
        temperature: 1,
        n: 3,
        method,
      }),
    );
    for (const { message, finish_reason } of chat.choices) {
      assert.equal(finish_reason, "stop");
      assert.deepEqual(message.parsed, JSON.parse(message.content));
      assert.equal(typeof message.parsed.count, "number");
    }
  }
  const refused = client.chat.completions.create(
    named({
      messages: given.chat.body.messages,
      response_format: { type: "json_schema", json_schema: { name: "x", schema: { oneOf: [] } } },
    }),
  );
  await assert.rejects(
    refused,
    (error) => error instanceof BadRequestError && /'oneOf' is not supported/.test(error.message),
  );
}

async function errors() {
  const stranger = new OpenAI({ baseURL: `${given.url}/v1`, apiKey: "another", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), (error) => {
    assert.ok(error instanceof AuthenticationError);
    assert.equal(error.status, 401);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
  await assert.rejects(
    client.chat.completions.create(named({ ...given.chat.body, n: 0 })),
    (error) => error instanceof BadRequestError && error.param === "n" && /'n' must/.test(error.message),
  );
  await assert.rejects(client.embeddings.create(named({ input: "a" })), NotFoundError);
}

async function aborts() {
  const long = named({ prompt: "a", max_tokens: 400, stream: true, n: 4, extra: { ignored: true } });
  for (let i = 0; i < 4; ++i) {
    const stream = await client.completions.create(long);
    let chunks = 0;
    for await (const _ of stream) {
      if (++chunks === 3) stream.controller.abort();
    }
    assert.ok(chunks >= 3);
  }
  await answers(); // the places of those that went are free
}

await answers();
await streams();
await structured();
await errors();
await aborts();
