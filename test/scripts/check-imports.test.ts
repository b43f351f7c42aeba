import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";

const script = fileURLToPath(new URL("../../scripts/check-imports.mjs", import.meta.url));
let src: string | undefined;

afterEach(() => {
  if (src !== undefined) rmSync(src, { recursive: true, force: true });
});

function check(files: Record<string, string>) {
  src = mkdtempSync(join(tmpdir(), "afterbay-imports-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(src, name)), { recursive: true });
    writeFileSync(join(src, name), text);
  }
  const { status, stderr } = spawnSync(process.execPath, [script, src], { encoding: "utf8" });
  return { status, lines: stderr.split("\n").filter((line) => line !== "") };
}

describe("the direction of imports", () => {
  it("accepts the way down, and anything within a folder", () => {
    const { status, lines } = check({
      "cli/main.ts": 'import { createServer } from "../proxy.ts";\nimport "./serve.ts";',
      "proxy.ts": 'import { open } from "./resolvers/index.ts";\nimport { handler } from "./http/handler.ts";',
      "cache/store.ts": 'import { AfterbayError } from "../errors.ts";\nimport fs from "node:fs";',
      "data-source/http.ts": 'import { request } from "undici";\nimport type { Need } from "./need.ts";',
    });
    expect(lines).toEqual([]);
    expect(status).toBe(0);
  });

  it.each([
    ["up", "cache/store.ts", 'import { x } from "../http/ranges.ts";'],
    ["up to a single file", "data-source/a.ts", 'import { x } from "../proxy.ts";'],
    ["up for a type", "errors.ts", 'import type { X } from "./data-source/need.ts";'],
    ["up, re-exported", "cache/a.ts", 'export * from "../player/queue.ts";'],
    ["up, later", "cache/a.ts", 'const x = await import("../player/queue.ts");'],
    ["up, over lines", "cache/a.ts", 'import {\n  a,\n  b,\n} from "../player/queue.ts";'],
    ["to a resolver from below", "http/api.ts", 'import { x } from "../resolvers/demo.ts";'],
    ["to a resolver past the registry", "proxy.ts", 'import { x } from "./resolvers/demo.ts";'],
    ["from a resolver to the cache", "resolvers/demo.ts", 'import { x } from "../cache/store.ts";'],
    ["out of src", "cli/main.ts", 'import x from "../../package.json";'],
    ["from a folder without a place", "misc/a.ts", "export const a = 1;"],
  ])("refuses one %s", (_name, file, text) => {
    const { status, lines } = check({ [file]: text });
    expect(status).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`src/${file}`);
  });
});
