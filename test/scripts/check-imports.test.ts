import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { checkImports } from "../../scripts/check-imports.mjs";

const script = fileURLToPath(new URL("../../scripts/check-imports.mjs", import.meta.url));
let src: string | undefined;

afterEach(() => {
  if (src !== undefined) rmSync(src, { recursive: true, force: true });
});

function sources(files: Record<string, string>): string {
  src = mkdtempSync(join(tmpdir(), "afterbay-imports-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(src, name)), { recursive: true });
    writeFileSync(join(src, name), text);
  }
  return src;
}

describe("the direction of imports", () => {
  it("accepts the way down, and anything within a folder", () => {
    const directory = sources({
      "cli/main.ts": 'import { createServer } from "../proxy.ts";\nimport "./serve.ts";',
      "proxy.ts": 'import { open } from "./resolvers/index.ts";\nimport { handler } from "./http/handler.ts";',
      "cache/store.ts": 'import { AfterbayError } from "../errors.ts";\nimport fs from "node:fs";',
      "data-source/http.ts": 'import { request } from "undici";\nimport type { Need } from "./need.ts";',
    });
    expect(checkImports(directory)).toEqual([]);
  });

  it.each([
    ["up", "cache/store.ts", 'import { x } from "../http/ranges.ts";'],
    ["up to a single file", "data-source/a.ts", 'import { x } from "../proxy.ts";'],
    ["up for a type", "errors.ts", 'import type { X } from "./data-source/need.ts";'],
    ["up, re-exported", "cache/a.ts", 'export * from "../player/queue.ts";'],
    ["up, later", "cache/a.ts", 'const x = await import("../player/queue.ts");'],
    ["up, over lines", "cache/a.ts", 'import {\n  a,\n  b,\n} from "../player/queue.ts";'],
    ["to a resolver from below", "http/api.ts", 'import { x } from "../resolvers/demo.ts";'],
    ["from a resolver to the cache", "resolvers/demo.ts", 'import { x } from "../cache/store.ts";'],
    ["out of src", "cli/main.ts", 'import x from "../../package.json";'],
    ["from a folder without a place", "misc/a.ts", "export const a = 1;"],
  ])("refuses one %s", (_name, file, text) => {
    const lines = checkImports(sources({ [file]: text }));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`src/${file}`);
  });

  it("fails the script", () => {
    const directory = sources({ "errors.ts": 'import "./proxy.ts";' });
    const { status, stderr } = spawnSync(process.execPath, [script, directory], { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toBe('src/errors.ts: imports "./proxy.ts"; errors may import nothing\n');
  });
});
