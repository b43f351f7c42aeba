import { writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ResolveRequest } from "../../src/data-source/resolution.ts";
import { createModuleResolver } from "../../src/resolvers/module.ts";
import { tmpDir, type TmpDir } from "../helpers/process.ts";

let dir: TmpDir;
let count = 0;
beforeAll(async () => {
  dir = await tmpDir();
});
afterAll(() => dir.remove());

/** Each module has a name of its own: Node never loads one twice. */
async function moduleOf(source: string, extension = "mjs"): Promise<string> {
  const file = join(dir.path, `resolver-${(count += 1)}.${extension}`);
  await writeFile(file, source);
  return file;
}

const request: ResolveRequest = {
  signal: new AbortController().signal,
  attempt: 2,
  reason: "forbidden",
  quality: "low",
};
const resolverOf = async (source: string) => await createModuleResolver(await moduleOf(source));

describe("a module's default export", () => {
  it("may be a function, async or not, and is told what a resolver is told", async () => {
    const source = "(id, { attempt, reason, quality }) => ({ url: `http://h/${id}/${attempt}/${reason}/${quality}` })";
    for (const kind of ["", "async "]) {
      const resolver = await resolverOf(`export default ${kind}${source};`);
      expect(await resolver.resolve("x", request)).toEqual({ url: "http://h/x/2/forbidden/low" });
      expect(Object.keys(resolver)).toEqual(["resolve", "close"]);
    }
  });

  it("may be a Resolver, whose methods keep their this", async () => {
    const resolver = await resolverOf(`
      export let closed = 0;
      export default new (class {
        base = "http://127.0.0.1:9000/";
        hosts = ["127.0.0.1:9000"];
        maxWindow = 65536;
        resolve(id) { return { url: this.base + id }; }
        async list() { return [{ id: this.base }]; }
        close() { this.base = "closed"; }
      })();`);
    expect(resolver.hosts).toEqual(["127.0.0.1:9000"]);
    expect(resolver.maxWindow).toBe(65_536);
    expect(await resolver.resolve("x", request)).toEqual({ url: "http://127.0.0.1:9000/x" });
    expect(await resolver.list?.()).toEqual([{ id: "http://127.0.0.1:9000/" }]);
    await resolver.close?.();
    expect(await resolver.list?.()).toEqual([{ id: "closed" }]);
  });

  it("may be in a file that is named relative to the working directory", async () => {
    const file = await moduleOf('export default () => ({ url: "http://h/" });');
    const resolver = await createModuleResolver(relative(process.cwd(), file));
    expect(await resolver.resolve("x", request)).toEqual({ url: "http://h/" });
  });
});

describe("a module that cannot be used is refused in one line that names it", () => {
  it.each([
    ["export const a = 1;", "has no default export"],
    ["export default 7;", "neither a function nor an object"],
    ["export default null;", "neither a function nor an object"],
    ["export default {};", "no resolve function"],
    ["export default { resolve: 1 };", "no resolve function"],
    ["export default { resolve() {}, list: [] };", "list is no function"],
    ["export default { resolve() {}, close: true };", "close is no function"],
    ['export default { resolve() {}, hosts: "a:1" };', "hosts must be"],
    ['export default { resolve() {}, hosts: ["a"] };', "hosts must be"],
    ["export default { resolve() {}, maxWindow: 0 };", "maxWindow must be"],
    ["export default (", "cannot be loaded: "],
    ['throw new Error("first\\nsecond");', "cannot be loaded: first second"],
    ['import "./missing.mjs";', "cannot be loaded: "],
  ])("%s", async (source, reason) => {
    const file = await moduleOf(source);
    const error = await createModuleResolver(file).catch((cause: unknown) => cause as Error);
    expect(error).toBeInstanceOf(Error);
    const { message } = error as Error;
    expect(message).toContain(file);
    expect(message).toContain(reason);
    expect(message).not.toContain("\n");
  });

  it("missing, a folder, or another kind of file", async () => {
    await expect(createModuleResolver(join(dir.path, "missing.js"))).rejects.toThrow("There is no module");
    await expect(createModuleResolver(dir.path)).rejects.toThrow("must be a .js or .mjs file");
    await expect(createModuleResolver(await moduleOf("{}", "json"))).rejects.toThrow("must be a .js or .mjs file");
  });
});

describe("what a module throws", () => {
  it.each(["not-found", "unplayable", "url-refused"])("with the code %s means that", async (code) => {
    const resolver = await resolverOf(
      `export default async () => { throw Object.assign(new Error("so\\nit is".padEnd(500, ".")), { code: "${code}" }); };`,
    );
    const error = await resolver.resolve("x", request).catch((cause: unknown) => cause as Error);
    expect(error).toMatchObject({ name: "AfterbayError", code });
    expect((error as Error).message).toMatch(/^so it is\.{192}$/);
  });

  it.each(['new Error("boom")', 'Object.assign(new Error("x"), { code: "ENOENT" })', '"text"', "undefined", "null"])(
    "%s, is transient",
    async (thrown) => {
      const resolver = await resolverOf(`export default () => { throw ${thrown}; };`);
      await expect(resolver.resolve("x", request)).rejects.toMatchObject({ name: "AfterbayError", code: "transient" });
    },
  );
});

it("an abort ends a resolve that hangs, with its reason", async () => {
  const resolver = await resolverOf("export default () => new Promise(() => {});");
  const abort = new AbortController();
  const pending = resolver.resolve("x", { ...request, signal: abort.signal });
  const reason = new Error("left");
  abort.abort(reason);
  await expect(pending).rejects.toBe(reason);
  await expect(resolver.resolve("x", { ...request, signal: abort.signal })).rejects.toBe(reason);
});
