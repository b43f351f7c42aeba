import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";
import { installed, type Project, root, run, start } from "./installed.ts";

const SIZE = 700_000;

let project: Project;
let up: Upstream;

beforeAll(async () => {
  project = await installed(["@types/node"]);
  up = await startUpstream();
  up.resource("one", { size: SIZE });
  up.resource("song", { size: SIZE });
});
afterAll(async () => {
  await up.close();
  await project.remove();
});

/** The same in both languages, but for the types. */
const program = (types: boolean): string => `
import { createServer } from "node:http";
import { AfterbayError, ConfigError, createProxy${types ? ", type ChunkEvent, type Proxy, type Resolution" : ""} } from "afterbay";
import { CHUNK_SIZE } from "afterbay/pipeline";
import { Queue } from "afterbay/player";

const base = process.env.UPSTREAM ?? "";
const chunks${types ? ": ChunkEvent[]" : ""} = [];
await using proxy${types ? ": Proxy" : ""} = await createProxy({
  name: "music",
  resolve: async (id, { signal, attempt, reason, quality })${types ? ": Promise<Resolution>" : ""} => {
    if (signal.aborted || attempt < 1 || reason === "mismatch" || quality === "low") throw new AfterbayError("unplayable", "No");
    return { url: \`\${base}/\${id}\`, variant: "1" };
  },
  cacheDir: "cache",
  cacheSize: "200M",
  hosts: [new URL(base).host],
});
proxy.on("chunk", (event) => void chunks.push(event));
const { url, port } = await proxy.listen({ port: 0 });
const body = new Uint8Array(await (await fetch(proxy.urlFor("one"))).arrayBuffer());
const prefetched = await proxy.prefetch(["one"], { signal: AbortSignal.timeout(5000) });
const refused = await createProxy({ name: "Not a name", resolve: () => ({ url }) }).catch((error${types ? ": unknown" : ""}) => error instanceof ConfigError);
const app = createServer((request, response) => void proxy.handle(request, response, "one"));
await new Promise${types ? "<void>" : ""}((done) => app.listen(0, "127.0.0.1", done));
const address = app.address();
const mounted = await fetch(\`http://127.0.0.1:\${typeof address === "object" ? address?.port : ""}/\`);
const size = (await mounted.arrayBuffer()).byteLength;
app.close();
app.closeAllConnections();
console.log(JSON.stringify({ played: body.length, sameport: url.endsWith(String(port)), chunks: chunks.length, size, prefetched, refused, CHUNK_SIZE, queued: Queue.empty.playNext([{ source: "music", id: "one" }]).entries.length }));
`;

const EXPECTED = {
  played: SIZE,
  sameport: true,
  size: SIZE,
  prefetched: [{ id: "one", state: "cached" }],
  refused: true,
  CHUNK_SIZE: 512 * 1024,
  queued: 1,
};

test("plays from TypeScript, type-checked as strictly as can be", async () => {
  await writeFile(join(project.path, "typed.ts"), program(true));
  const wrong = `import { createProxy } from "afterbay";
// @ts-expect-error: a resolution needs a url
await createProxy({ name: "music", resolve: async () => ({ variant: "1" }) });
// @ts-expect-error: one source or several, not both
await createProxy({ name: "music", resolve: async () => ({ url: "" }), sources: [] });
const proxy = await createProxy({ sources: [{ name: "music", resolve: () => ({ url: "http://a" }) }] });
// @ts-expect-error: no such event
proxy.on("chunks", () => {});
`;
  await writeFile(join(project.path, "wrong.ts"), wrong);
  const compilerOptions = {
    target: "es2022",
    lib: ["es2023", "esnext.disposable"],
    types: ["node"],
    module: "nodenext",
    moduleResolution: "nodenext",
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    outDir: "out",
    rootDir: ".",
  };
  await writeFile(
    join(project.path, "tsconfig.json"),
    JSON.stringify({ compilerOptions, files: ["typed.ts", "wrong.ts"] }),
  );
  await run(join(root, "node_modules", ".bin", "tsc"), ["-p", project.path]).catch((error: unknown) => {
    throw new Error((error as { stdout: string }).stdout);
  });
  await expectPlays("out/typed.js");
});

test("plays from plain JavaScript", async () => {
  // No `await using` in Node 20's JavaScript.
  const plain = program(false).replace("await using proxy", "const proxy");
  await writeFile(join(project.path, "plain.mjs"), `${plain}\nawait proxy.close();\n`);
  await expectPlays("plain.mjs");
});

test("every program of docs/library.md runs", async () => {
  const page = await readFile(join(root, "docs", "library.md"), "utf8");
  const programs = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code = ""]) => code);
  const outputs: string[] = [];
  for (const [index, code] of programs.entries()) {
    const file = `docs-${index}.mjs`;
    const here = code
      .replaceAll("127.0.0.1:9000", new URL(up.origin).host)
      .replaceAll('cacheDir: "cache"', `cacheDir: "cache-${index}"`)
      // No `await using` in Node 20's JavaScript.
      .replace(/await using proxy(.*)$/s, "const proxy$1\nawait proxy.close();");
    await writeFile(join(project.path, file), here);
    outputs.push((await run(process.execPath, [file], { cwd: project.path })).stdout);
  }
  const [first, second, third = ""] = outputs;
  expect(first).toContain(`${SIZE} bytes, afterbay; fwd=miss; stored`);
  expect(second).toBe("206 100\n");
  const lines = third.trim().split(/\s*\n/);
  expect(lines.toSorted()).toEqual(["music/song plays offline now", "nothing failed not-found", "song cached"]);
});

async function expectPlays(file: string): Promise<void> {
  const running = start(project, [file], { UPSTREAM: up.origin });
  expect(JSON.parse(await running.line())).toMatchObject(EXPECTED);
  expect(await running.ended).toBe(0);
}
