// Times llama.cpp (through node-llama-cpp) on a GGUF file: passes of 1 to 512 tokens at depth 0, and
// decoding. Median milliseconds.
//
// usage: node bench.mjs FILE THREADS

import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [file, threads] = [process.argv[2], Number(process.argv[3])];
const llama = await getLlama(
    {gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: threads});
const model = await llama.loadModel({modelPath: file});
const context =
    await model.createContext({contextSize: 2048, batchSize: 512, threads, sequences: 1});
const sequence = context.getSequence();

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const line = (name, ms) => console.log(`${name.padEnd(8)}${ms.toFixed(1).padStart(9)}`);

console.log("rows           ms");
for (const rows of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]) {
  const times = [];
  for (let run = 0; run < 7; ++run) {
    await sequence.clearHistory();
    const tokens = Array.from({length: rows}, (_, i) => (i * 37 + run * 13 + 5) % 150000);
    const start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens);
    times.push(performance.now() - start);
  }
  line(String(rows), median(times.slice(1)));
}

await sequence.clearHistory();
const times = [];
let last = performance.now();
for await (const _ of sequence.evaluate([1, 2, 3], {temperature: 0})) {
  times.push(performance.now() - last);
  last = performance.now();
  if (times.length === 40) break;
}
line("decode", median(times.slice(2)));
process.exit(0);
