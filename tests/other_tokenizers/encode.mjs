// Encodes texts with other programs' tokenizers: reads {"folder", "texts"} from stdin and writes
// {"<library>": [{"ids", "decoded"} …]}. The libraries lie in the node_modules beside argv[2].

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));
const { folder, texts } = JSON.parse(readFileSync(0, "utf8"));

async function rust() {
  const { Tokenizer } = require("tokenizers");
  const tokenizer = Tokenizer.fromFile(join(folder, "tokenizer.json"));
  return Promise.all(texts.map(async (text) => {
    const ids = (await tokenizer.encode(text, undefined, { addSpecialTokens: false })).getIds();
    return { ids, decoded: await tokenizer.decode(ids, false) };
  }));
}

function javascript() {
  const { Tokenizer } = require("@huggingface/tokenizers");
  const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const tokenizer = new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
  return texts.map((text) => {
    const ids = tokenizer.encode(text, { add_special_tokens: false }).ids;
    return { ids, decoded: ids.length ? tokenizer.decode(ids, { skip_special_tokens: false }) : "" };
  });
}

const answers = { tokenizers: await rust(), "@huggingface/tokenizers": javascript() };
console.log(JSON.stringify(answers));
