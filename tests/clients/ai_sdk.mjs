// Vercel's AI SDK with its provider for servers like this one. Stdin as openai.mjs has it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText } from "ai";

const given = JSON.parse(readFileSync(0, "utf8"));
const provider = (apiKey) =>
  createOpenAICompatible({
    name: "tidar", baseURL: `${given.url}/v1`, apiKey, includeUsage: true });
const known = provider(given.key);
const { chat, completion } = given;
const asked = { prompt: chat.body.messages[0].content, temperature: 0, maxRetries: 0,
                maxOutputTokens: chat.body.max_tokens };

const text = await generateText({ model: known(given.model), ...asked });
assert.equal(text.text, chat.answer.choices[0].message.content);
assert.equal(text.usage.inputTokens, chat.answer.usage.prompt_tokens);
assert.equal(text.usage.outputTokens, chat.answer.usage.completion_tokens);
assert.equal(text.finishReason, chat.answer.choices[0].finish_reason);

const stream = streamText({ model: known(given.model), ...asked });
let streamed = "";
for await (const part of stream.textStream) streamed += part;
assert.equal(streamed, text.text);
assert.equal((await stream.usage).outputTokens, text.usage.outputTokens);

const plain = await generateText({
  model: known.completionModel(given.model),
  ...asked,
  prompt: completion.body.prompt,
  maxOutputTokens: completion.body.max_tokens,
});
assert.ok(plain.text.length > 0);

await assert.rejects(generateText({ model: provider("another")(given.model), ...asked }), (error) => {
  assert.ok(APICallError.isInstance(error));
  assert.equal(error.statusCode, 401);
  assert.match(error.message, /API key/);
  return true;
});
