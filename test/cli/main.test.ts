import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const program = join(root, "dist", "cli", "main.js");

let directory = "";
let children: ChildProcess[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "afterbay-main-"));
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

function start(argv: readonly string[], script = program) {
  const child = spawn(process.execPath, [script, ...argv], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory },
    stdio: ["pipe", "pipe", "pipe"],
  });
  children.push(child);
  const exited = once(child, "exit").then(([code]: unknown[]) => code);
  return { child, exited, stderr: text(child.stderr) };
}

async function serving(argv: readonly string[], script = program) {
  const started = start([...argv, "--json", "--port", "0"], script);
  const lines = createInterface(started.child.stdout);
  const line = await Promise.race([once(lines, "line").then(([first]) => String(first)), started.stderr]);
  return { ...started, ready: JSON.parse(line) };
}

/** Runs to the end. */
async function finished(...argv: string[]) {
  const { child, exited, stderr } = start(argv);
  const [stdout, errors, code] = await Promise.all([text(child.stdout), stderr, exited]);
  return { stdout, stderr: errors, code };
}

const complaint = /^afterbay: [^\n]+\n$/;

describe("the built program", () => {
  it("serves, tells where, and ends well on SIGTERM", async () => {
    const { child, exited, ready } = await serving(["serve"]);
    expect(ready).toMatchObject({ event: "ready", pid: child.pid });
    expect(await (await fetch(`${ready.url}/ping`)).text()).toBe("pong");
    const askedAt = performance.now();
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect(performance.now() - askedAt).toBeLessThan(2000);
  });

  it("ends with its parent", async () => {
    const { child, exited } = await serving(["serve", "--exit-with-parent"]);
    child.stdin.end();
    expect(await exited).toBe(0);
  });

  it("starts by npm start's script with its arguments", async () => {
    const { child, exited, ready } = await serving([], join(root, "scripts", "start.mjs"));
    expect(await (await fetch(`${ready.url}/ping`)).text()).toBe("pong");
    child.kill("SIGINT");
    expect(await exited).toBe(0);
  });

  it("prints help and version", async () => {
    expect(await finished("serve", "--help")).toMatchObject({ code: 0, stderr: "" });
    expect(await finished("--version")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  it("exits 2 on a wrong flag", async () => {
    expect(await finished("serve", "--nope")).toEqual({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(complaint),
    });
  });

  it("exits 1 where the port is taken", async () => {
    const { ready } = await serving(["serve"]);
    const { port } = new URL(ready.url);
    const second = await finished("serve", "--port", port, "--cache-dir", join(directory, "other"));
    expect(second).toEqual({ code: 1, stdout: "", stderr: expect.stringMatching(complaint) });
    expect(second.stderr).toContain(`port ${port} is taken`);
  });

  it("exits 1 where another process owns the cache directory", async () => {
    const cache = join(directory, "cache");
    await serving(["serve", "--cache-dir", cache]);
    const second = await finished("serve", "--port", "0", "--cache-dir", cache);
    expect(second).toEqual({ code: 1, stdout: "", stderr: expect.stringMatching(complaint) });
  });

  it("exits 1 where the cache directory cannot be one", async () => {
    const file = join(directory, "file");
    writeFileSync(file, "");
    const { code, stderr } = await finished("serve", "--port", "0", "--cache-dir", join(file, "cache"));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(complaint) });
    expect(stderr).toContain("cache directory");
  });

  it("exits 1 where other machines could connect without a token", async () => {
    const { code, stderr } = await finished("serve", "--host", "0.0.0.0", "--port", "0");
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(complaint) });
    expect(stderr).toContain("token");
  });

  it("prefetches and lists beside a running server, and without one", async () => {
    const cache = ["--cache-dir", join(directory, "cache")];
    const { child, exited } = await serving(["serve", ...cache]);
    expect(await finished("prefetch", "--head", "yaman", ...cache)).toMatchObject({ code: 0, stderr: "" });
    child.kill("SIGTERM");
    await exited;
    const { stdout, stderr } = await finished("cache", "ls", "--json", ...cache);
    expect(stderr).toBe("");
    const { tracks } = JSON.parse(stdout);
    expect(tracks).toMatchObject([{ key: "demo/yaman", complete: false }]);
    expect(tracks[0].cachedBytes).toBeGreaterThanOrEqual(524_288);
  });

  it("exits 1 where a source is none", async () => {
    const { code, stderr } = await finished("serve", "--port", "0", "--source", "nonsense:x");
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(complaint) });
  });
});
