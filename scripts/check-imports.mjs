// Holds the direction of imports in src/. A part is a folder, or a file directly in src/; it may import itself and
// what is listed for it. Run alone: node scripts/check-imports.mjs [SRC]
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "./lib/setup.mjs";

const low = ["errors", "data-source"];
const middle = [...low, "cache"];
const high = [...middle, "sessions", "http", "prefetch"];
// Who is not told of resolvers here knows them by their interface alone, in data-source.
const mayImport = {
  errors: [],
  sizes: [],
  durations: [],
  // An upstream of its own: what it serves must not depend on what is tested with it.
  chaos: ["errors", "sizes", "durations"],
  "data-directory": [],
  version: [],
  redact: [],
  "data-source": ["errors"],
  cache: low,
  resolvers: low,
  sessions: [...middle, "redact"],
  // Side by side: what one needs of the other, proxy hands it.
  http: [...middle, "sessions", "redact"],
  prefetch: middle,
  artwork: middle,
  pipeline: high,
  events: [...middle, "sessions", "http"],
  telemetry: [...middle, "sessions", "http", "events"],
  proxy: [...high, "artwork", "pipeline", "resolvers", "events", "telemetry"],
  library: [...high, "proxy", "resolvers", "events", "sizes", "data-directory", "version"],
  player: [...high, "pipeline", "proxy", "events"],
  index: [...high, "pipeline", "proxy", "resolvers", "events", "library"],
  cli: [
    ...high,
    "pipeline",
    "proxy",
    "player",
    "resolvers",
    "chaos",
    "redact",
    "sizes",
    "durations",
    "data-directory",
    "version",
  ],
};

const importPattern = /\b(?:from|import)\s*\(?\s*["'](\.[^"'\n]*)["']/g;

function partOf(file) {
  return file.split("/")[0].replace(/\.ts$/, "");
}

/** The imports of one file that go the wrong way, one line each. `file` is relative to src, with slashes. */
function violations(file, text) {
  const from = partOf(file);
  const allowed = mayImport[from];
  if (allowed === undefined) return [`src/${file}: "${from}" has no place in scripts/check-imports.mjs yet`];
  const found = [];
  for (const [, specifier] of text.matchAll(importPattern)) {
    const target = join(dirname(file), specifier).split(sep).join("/");
    const to = partOf(target);
    const wrong = (why) => found.push(`src/${file}: imports "${specifier}"; ${why}`);
    if (target.startsWith("../")) wrong("nothing in src/ imports from outside it");
    else if (to === from) continue;
    else if (!allowed.includes(to)) wrong(`${from} may import ${allowed.join(", ") || "nothing"}`);
  }
  return found;
}

export function checkImports(src) {
  return readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .flatMap((path) => violations(relative(src, path).split(sep).join("/"), readFileSync(path, "utf8")));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = checkImports(resolve(process.argv[2] ?? join(root, "src")));
  for (const line of found) console.error(line);
  process.exitCode = found.length > 0 ? 1 : 0;
}
