// Renders chat templates with @huggingface/jinja: reads [{"template", "given"} …] from stdin and
// writes [{"text"} or {"error"} …]. The library lies in the node_modules beside argv[2].

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));
const { Template } = require("@huggingface/jinja");
const answers = JSON.parse(readFileSync(0, "utf8")).map(({ template, given }) => {
  try {
    return { text: new Template(template).render(given) };
  } catch (error) {
    return { error: String(error.message) };
  }
});
console.log(JSON.stringify(answers));
