// Makes the page's files, and writes them as C++ that holds them (src/serve/page_files.h):
//
//     node build.mjs OUT.cc

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const TYPES = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** Three octal digits a byte: a fourth digit behind it cannot be taken for a part of it. */
function literal(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 24) {
    const escapes = [...bytes.subarray(at, at + 24)].map(
      (byte) => "\\" + byte.toString(8).padStart(3, "0"),
    );
    lines.push(`    "${escapes.join("")}"`);
  }
  return lines.join("\n") || '    ""';
}

function entry({ fileName, bytes }, index) {
  const type = TYPES[fileName.split(".").pop()];
  if (!type) throw new Error(`${fileName}: what type is it? Add it to TYPES in web/build.mjs`);
  const path = fileName === "index.html" ? "/" : `/${fileName}`;
  const tag = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  const zipped = gzipSync(bytes, { level: 9 });
  const names = [`kBody${index}`, `kZipped${index}`];
  const parts = [bytes, zipped].map((part, i) => `const char ${names[i]}[] =\n${literal(part)};\n`);
  return {
    data: parts.join(""),
    line:
      `    {"${path}", "${type}", "\\"${tag}\\"", {${names[0]}, ${bytes.length}}, ` +
      `{${names[1]}, ${zipped.length}}},`,
  };
}

const made = await build({ logLevel: "warn", build: { write: false } });
const files = made.output.map((part) => ({
  fileName: part.fileName,
  bytes: Buffer.from(part.type === "chunk" ? part.code : part.source),
}));
files.sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
const entries = files.map(entry);
writeFileSync(
  process.argv[2],
  `// Made by web/build.mjs.
#include "serve/page_files.h"

namespace tidar {
namespace {

${entries.map((one) => one.data).join("")}
const PageFile kFiles[] = {
${entries.map((one) => one.line).join("\n")}
};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }

}  // namespace tidar
`,
);
