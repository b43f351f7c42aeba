import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { runIsolated, type SandboxLimits } from "../../../src/resolvers/youtube/sandbox.ts";

const TIGHT: SandboxLimits = { timeoutMs: 700, memoryBytes: 384 * 1024 * 1024 };

const run = (body: string, limits?: SandboxLimits): Promise<unknown> =>
  runIsolated(body, new AbortController().signal, limits);

/** The processes that this one started and that still run. */
function children(): string[] {
  const listed = execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(process.pid)], { encoding: "utf8" });
  return listed.split("\n").filter((line) => line.includes("--disallow-code-generation-from-strings"));
}

describe("the sandbox of the player script", () => {
  it("answers what the script returns", async () => {
    expect(await run("return { n: [1, 2].reverse().join('-'), at: typeof Date.now() };")).toEqual({
      n: "2-1",
      at: "number",
    });
  });

  it.each([
    ["process", "return typeof process;"],
    ["require", "return typeof require;"],
    ["module", "return typeof module;"],
    ["fetch", "return typeof fetch;"],
    ["WebSocket", "return typeof WebSocket;"],
    ["Buffer", "return typeof Buffer;"],
    ["console", "return typeof console === 'object' ? typeof console.constructor('return process')() : 'undefined';"],
    ["setTimeout", "return typeof setTimeout;"],
    ["WebAssembly", "return typeof WebAssembly;"],
    ["the outer global", "return typeof globalThis.global;"],
  ])("shows it no %s", async (_what, body) => {
    const answer = await run(body).catch(() => "undefined");
    expect(answer).toBe("undefined");
  });

  it.each([
    ["eval", "return eval('1');"],
    ["new Function", "return new Function('return 1')();"],
    ["the constructor of its global", "return this.constructor.constructor('return process')().pid;"],
    ["a constructor found on the way up", "return globalThis.constructor.constructor('return process')().pid;"],
    ["a generator's constructor", "return (function* () {}).constructor('yield process')().next().value.pid;"],
    ["an async function's constructor", "(async () => {}).constructor('return process')(); return 1;"],
  ])("makes no code of strings: %s", async (_what, body) => {
    await expect(run(body)).rejects.toMatchObject({ code: "upstream-failed" });
  });

  it("gives nothing away through an error of the outer realm", async () => {
    // import() without a loader is refused with an error of the realm outside, once the script has ended.
    const escape = `
      import("node:fs").catch((error) => {
        const outer = error.constructor.constructor;
        for (const code of ["return process", "return globalThis.process", "return require('process')"]) {
          try { outer(code)().stdout.write("escaped"); } catch {}
        }
      });
      return "inside";
    `;
    expect(await run(escape)).toBe("inside");
  });

  it("ends a script that does not end, in time, with its process", async () => {
    const began = performance.now();
    await expect(run("for (;;);", TIGHT)).rejects.toMatchObject({
      code: "upstream-failed",
      message: expect.stringContaining("takes too long"),
    });
    expect(performance.now() - began).toBeLessThan(3000);
    expect(children()).toEqual([]);
  });

  it.each([
    ["objects", "const all = []; for (;;) all.push({ a: [1, 2, 3] });"],
    ["arrays outside the heap", "const all = []; for (;;) all.push(new Uint8Array(32 << 20).fill(1));"],
    ["an answer without end", "return 'x'.repeat(1 << 22);"],
    ["a string without end", "let s = 'x'; for (;;) s += s;"],
  ])("ends a script that takes %s", async (_what, body) => {
    // Not by the clock.
    await expect(run(body, { ...TIGHT, timeoutMs: 15_000 })).rejects.toThrow("player script fails");
    expect(children()).toEqual([]);
  });

  it.each([
    ["throws", "throw new Error('SECRET');"],
    ["throws what cannot be looked at", "throw new Proxy({}, { get() { for (;;); } });"],
    ["returns nothing", ""],
    ["is no JavaScript", "}{"],
    ["answers with what is no JSON", "return 1; }).call()) + '{' + (function () { return ''; })() + ((function () { "],
    ["answers with no text", "return { toJSON() { return undefined; } };"],
  ])("is an error without quotes where a script %s", async (_what, body) => {
    const failure = await run(body, TIGHT).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "upstream-failed" });
    expect(String(failure)).not.toContain("SECRET");
  });

  it("is left at once when nobody waits any more", async () => {
    const abort = new AbortController();
    const pending = runIsolated("for (;;);", abort.signal);
    const began = performance.now();
    abort.abort(new Error("gone"));
    await expect(pending).rejects.toThrow("gone");
    expect(performance.now() - began).toBeLessThan(3000);
    expect(children()).toEqual([]);
    await expect(runIsolated("return 1;", AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
  });
});
