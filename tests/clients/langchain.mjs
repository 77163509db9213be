// LangChain's client for OpenAI's interface. Stdin as openai.mjs has it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ChatOpenAI, OpenAI } from "@langchain/openai";

const given = JSON.parse(readFileSync(0, "utf8"));
const { chat, completion } = given;
const options = (apiKey, body) => ({
  model: given.model, apiKey, configuration: { baseURL: `${given.url}/v1` }, maxRetries: 0,
  temperature: 0, maxTokens: body.max_tokens });
const content = chat.answer.choices[0].message.content;
const question = chat.body.messages[0].content;

const model = new ChatOpenAI({ ...options(given.key, chat.body), logprobs: true, topLogprobs: 2 });
const answer = await model.invoke(question);
assert.equal(answer.content, content);
assert.equal(answer.usage_metadata.output_tokens, chat.answer.usage.completion_tokens);
assert.deepEqual(answer.response_metadata.logprobs, chat.answer.choices[0].logprobs);

let streamed = "";
for await (const chunk of await model.stream(question)) streamed += chunk.content;
assert.equal(streamed, content);

const many = await model.batch([question, "b", question]);
assert.deepEqual([many[0].content, many[2].content], [content, content]);

const plain = new OpenAI(options(given.key, completion.body));
assert.equal(await plain.invoke(completion.body.prompt), completion.answer.choices[0].text);

const stranger = new ChatOpenAI(options("another", chat.body));
await assert.rejects(stranger.invoke(question), (error) => error.status === 401);
