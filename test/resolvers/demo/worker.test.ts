import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDemo } from "../../../src/resolvers/demo/demo.ts";
import { MEASURED } from "../../helpers/measured.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../../", import.meta.url));
const RANGE = "bytes=14000001-14200000";

/** Prints the hash of a range and how long the event loop stood still, and ends when nothing keeps it alive. */
const PROGRAM = `
import { createHash } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createDemo } from "./resolvers/demo/demo.js";
const demo = await createDemo();
const { url } = await demo.resolve("night-ferry", { signal: new AbortController().signal, attempt: 1, reason: "first" });
const left = new AbortController();
const abandoned = await fetch(url, { signal: left.signal });
left.abort();
const delay = monitorEventLoopDelay({ resolution: 5 });
await new Promise((done) => setTimeout(done, 50));
delay.enable();
const response = await fetch(url, { headers: { range: "${RANGE}" } });
const hash = createHash("sha256").update(new Uint8Array(await response.arrayBuffer())).digest("hex");
delay.disable();
await demo.close();
console.log(JSON.stringify({ hash, stalledMs: delay.max / 1e6 }));
`;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "afterbay-demo-"));
  const options = { outDir: folder, rootDir: join(root, "src"), noEmit: false, declaration: false };
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(join(folder, "program.js"), PROGRAM);
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: join(root, "tsconfig.build.json"),
      compilerOptions: { ...options, typeRoots: [join(root, "node_modules/@types")] },
      include: [],
      files: ["demo.ts", "render-worker.ts"].map((name) => join(root, "src/resolvers/demo", name)),
    }),
  );
  await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

it("renders in a worker of another process what it renders in this thread", MEASURED, async () => {
  const { stdout } = await run(process.execPath, [join(folder, "program.js")], { timeout: 20_000 });
  const { hash, stalledMs } = JSON.parse(stdout) as { hash: string; stalledMs: number };
  const demo = await createDemo();
  const { url } = await demo.resolve("night-ferry", {
    signal: new AbortController().signal,
    attempt: 1,
    reason: "first",
  });
  const response = await fetch(url, { headers: { range: RANGE } });
  const here = createHash("sha256")
    .update(new Uint8Array(await response.arrayBuffer()))
    .digest("hex");
  await demo.close?.();
  expect(hash).toBe(here);
  // Rendering this stretch takes longer than that, so it was not done there.
  expect(stalledMs).toBeLessThan(150);
});
