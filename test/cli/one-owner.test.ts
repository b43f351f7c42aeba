import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { du } from "../helpers/du.ts";
import { request } from "../helpers/http-client.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { type Served, startServed } from "../helpers/served.ts";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const SIZE = 1_300_000;
const MiB = 1024 ** 2;

let dir: TmpDir;
let up: Upstream;
let server: Served;
beforeEach(async () => {
  dir = await tmpDir();
  up = await startUpstream();
  up.resource("song", { size: SIZE });
  server = await serve();
});
afterEach(async () => {
  await server.kill("SIGKILL");
  await up.close();
  await dir.remove();
});

const settings = (): string[] => ["--source", `u=url:${up.origin}/{id}`, "--cache-dir", dir.path];
const serve = (): Promise<Served> => startServed(settings());

/** Runs the program to its end. */
async function run(...argv: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

test("a command that SIGTERM ends while it stores leaves neither half a track nor a socket", async () => {
  expect(await server.kill("SIGTERM")).toBe(0);
  const file = join(dir.path, "long.flac");
  await writeFile(file, "fLaC");
  await truncate(file, 1.5 * 1024 ** 3);
  const stored = join(dir.path, "v1");
  const importing = spawn(process.execPath, [program, "cache", "import", file, "--cache-dir", dir.path], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = Promise.all([text(importing.stdout), text(importing.stderr)]);
  const exited = once(importing, "exit");
  await eventually(async () => expect((await du(join(stored, "tracks"))).bytes).toBeGreaterThan(MiB), {
    timeoutMs: 10_000,
  });
  importing.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  expect(await output).toEqual(["", "afterbay: ended by SIGTERM before it was done.\n"]);
  expect((await readdir(stored)).filter((name) => name.includes(".sock"))).toEqual([]);
  const { stdout } = await run("cache", "ls", "--json", "--cache-dir", dir.path);
  expect(JSON.parse(stdout)).toMatchObject({ tracks: [] });
  expect((await du(join(stored, "tracks"))).bytes).toBeLessThan(MiB);
});

describe("S7: beside a running server", () => {
  test("a second one on the same cache directory is refused in one line", async () => {
    const second = await run("serve", "--port", "0", ...settings());
    expect(second.code).toBe(1);
    expect(second.stderr.trim().split("\n")).toHaveLength(1);
    expect(second.stderr).toContain("in use by another Afterbay");
  });

  test("a second one on the same port is refused in one line", async () => {
    const elsewhere = await tmpDir();
    try {
      const second = await run("serve", "--port", String(server.port), "--cache-dir", elsewhere.path);
      expect(second.code).toBe(1);
      expect(second.stderr.trim().split("\n")).toHaveLength(1);
      expect(second.stderr).toContain(String(server.port));
    } finally {
      await elsewhere.remove();
    }
  });

  test("cache pin is done by the owner; with the upstream gone and the server started anew, the track plays", async () => {
    const pinned = await run("cache", "pin", "song", "--json", ...settings());
    expect(pinned.stderr).toBe("");
    expect(pinned.code).toBe(0);
    await eventually(
      async () => {
        const { body } = await request({ port: server.port, path: "/api/tracks/u/song" });
        expect(JSON.parse(Buffer.from(body).toString())).toMatchObject({ complete: true, pinned: true });
      },
      { timeoutMs: 10_000, intervalMs: 50 },
    );
    const whole = up.bytes("song");
    expect(await server.kill("SIGTERM")).toBe(0);
    await up.close();
    server = await serve();
    const got = await request({ port: server.port, path: "/stream/song" });
    expect(got.status).toBe(200);
    assertBytes(got.body, whole);
  });
});
