import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProxy } from "../../src/library.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { request } from "../helpers/http-client.ts";
import { tmpDir, type TmpDir } from "../helpers/process.ts";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";
import { installed, type Program, type Project, start } from "./installed.ts";

const SIZE = 1_500_000;

let project: Project;
let up: Upstream;
let cache: TmpDir;

beforeAll(async () => {
  project = await installed(["express", "fastify"]);
  up = await startUpstream();
  up.resource("song", { size: SIZE });
});
afterAll(async () => {
  await up.close();
  await project.remove();
});

async function host(example: string, ...args: string[]): Promise<Program> {
  cache = await tmpDir();
  return start(project, [`examples/${example}`, ...args], { UPSTREAM: up.origin, CACHE_DIR: cache.path, PORT: "0" });
}

/** Rejects unless another proxy can own the directory now. */
async function assertFree(): Promise<void> {
  await using proxy = await createProxy({ name: "music", resolve: () => ({ url: up.origin }), cacheDir: cache.path });
  await proxy.close();
}

async function refuses(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", () => resolve(true));
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
  });
}

describe.each(["express.mjs", "fastify.mjs"])("examples/%s", (example) => {
  test("plays whole and in ranges, keeps the bytes, answers bad ids, and ends cleanly on SIGTERM", async () => {
    const program = await host(example);
    const port = Number(new URL(await program.line()).port);
    const whole = await request({ port, path: "/stream/song" });
    expect(whole.status).toBe(200);
    expect(whole.headers).toMatchObject({ "content-type": "audio/webm", "accept-ranges": "bytes" });
    assertBytes(whole.body, up.bytes("song"));
    const asked = up.requests("song").length;
    const range = await request({ port, path: "/stream/song", headers: { range: "bytes=700000-" } });
    expect([range.status, range.headers["content-range"]]).toEqual([206, `bytes 700000-${SIZE - 1}/${SIZE}`]);
    expect(range.headers["cache-status"]).toBe("afterbay; hit");
    assertBytes(range.body, up.bytes("song", 700_000));
    const head = await request({ port, method: "HEAD", path: "/stream/song" });
    expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, String(SIZE), 0]);
    expect(up.requests("song")).toHaveLength(asked);
    const bad = await request({ port, path: "/stream/a%0Ab" });
    expect([bad.status, bad.headers["content-type"]]).toEqual([400, "application/problem+json"]);
    const missing = await request({ port, path: "/stream/song2?offline=1" });
    expect([missing.status, JSON.parse(Buffer.from(missing.body).toString())]).toMatchObject([
      504,
      { code: "not-cached" },
    ]);
    program.child.kill("SIGTERM");
    expect(await program.ended).toBe(0);
    expect(await refuses(port)).toBe(true);
    await assertFree();
    await cache.remove();
  });

  test("goes on after a client that left in the middle", async () => {
    const program = await host(example);
    const port = Number(new URL(await program.line()).port);
    await request({ port, path: "/stream/song", readBytes: 100_000 }).catch(() => {});
    const whole = await request({ port, path: "/stream/song" });
    assertBytes(whole.body, up.bytes("song"));
    program.child.kill("SIGTERM");
    expect(await program.ended).toBe(0);
    await cache.remove();
  });
});

describe("examples/electron-main.mjs", () => {
  test.each([
    ["closes its proxy", (program: Program) => program.child.stdin?.write("quit\n")],
    ["just exits", (program: Program) => program.child.stdin?.end()],
    ["is killed", (program: Program) => program.child.kill("SIGKILL")],
  ])("frees the port and the directory when it %s", async (how, quit) => {
    const program = await host("electron-main.mjs", "song");
    const port = Number((await program.line()).replace("listening on ", ""));
    const lines = [await program.line(), await program.line()].toSorted();
    expect(lines).toEqual(["music/song plays offline now", `played ${SIZE} bytes`]);
    expect((await request({ port, path: "/stream/song" })).status).toBe(403);
    await expect(assertFree()).rejects.toThrow(/in use|another|owns/i);
    quit(program);
    expect(await program.ended).toBe(how === "is killed" ? null : 0);
    expect(await refuses(port)).toBe(true);
    await assertFree();
    await cache.remove();
  });
});
