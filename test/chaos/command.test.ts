import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { start as startHere } from "../cli/fake-io.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type RawRequest, type RawResponse, request } from "../helpers/http-client.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { SONG, textOf } from "./chaos-rig.ts";
import { type Running, serving, start, stop } from "./program.ts";
import { MEASURED } from "../helpers/measured.ts";

let dir: TmpDir;
let running: Running[];
beforeEach(async () => {
  dir = await tmpDir();
  running = [];
});
afterEach(async () => {
  for (const { child } of running) child.kill("SIGKILL");
  await dir.remove();
});

async function chaos(...argv: string[]): ReturnType<typeof serving> {
  const started = await serving(dir.path, ["chaos", ...argv]);
  running.push(started);
  return started;
}

function script(value: unknown, name = "script.json"): string {
  const path = join(dir.path, name);
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
  return path;
}

/** Runs to the end. */
async function finished(...argv: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const { child, exited, stderr } = start(dir.path, ["chaos", ...argv]);
  running.push({ child, exited, stderr, line: stderr });
  const [stdout, errors, code] = await Promise.all([child.stdout ? text(child.stdout) : "", stderr, exited]);
  return { stdout, stderr: errors, code };
}

const get = (port: number, path: string, options: Partial<RawRequest> = {}): Promise<RawResponse> =>
  request({ port, path, ...options });

test("without a script: a track for each fault, a table, and lines to paste", async () => {
  const { child, line } = start(dir.path, ["chaos"]);
  const out = child.stdout;
  if (!out) throw new Error("no stdout");
  let printed = "";
  out.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  const url = /^Listening on (http:\/\/127\.0\.0\.1:\d+)$/.exec(await line)?.[1] ?? "";
  await eventually(() => expect(printed).toContain("/chaos/log?track="));
  expect(printed).toMatch(/^TRACK +BYTES +THROUGH AFTERBAY +WHAT GOES WRONG$/m);
  expect(printed).toMatch(/^reset +1323000 +plays +RST after 200000 bytes of the first answer$/m);
  expect(printed).toContain(`--source 'chaos=webhook:${url}/resolve/{id}'`);
  const { tracks } = JSON.parse(textOf(await get(Number(new URL(url).port), "/chaos/tracks"))) as { tracks: unknown[] };
  expect(printed.match(/^\S+ +\d+ {2}(plays|cut|[a-z-]+) {2}/gm)).toHaveLength(tracks.length);
  expect(
    await stop({ child, exited: once(child, "exit").then(([code]) => code as unknown), stderr: line, line }),
  ).toEqual([0, expect.any(Number)]);
});

test("a script, with an audio file beside it; the ready line is as serve's", async () => {
  mkdirSync(join(dir.path, "bug"));
  writeFileSync(join(dir.path, "bug", "song.FLAC"), SONG);
  const path = script(
    { tracks: { song: { file: "song.FLAC", faults: [{ times: 1, do: { status: 503 } }] } } },
    "bug/s.json",
  );
  const { port, line, child } = await chaos("--script", path);
  expect(JSON.parse(await line)).toEqual({
    event: "ready",
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
  });
  expect((await get(port, "/song")).status).toBe(503);
  const got = await get(port, "/song");
  expect(got.headers["content-type"]).toBe("audio/flac");
  assertBytes(got.body, SONG);
});

describe("what cannot be is one line, and exit code 2", () => {
  const complaint = (words: string): object => ({
    code: 2,
    stdout: "",
    stderr: expect.stringMatching(new RegExp(`^afterbay: [^\\n]*${words}[^\\n]*\\n$`)),
  });
  /** The same program, within this process. */
  const tried = async (...argv: string[]): Promise<object> => {
    const { code, stdout, stderr } = startHere({ argv: ["chaos", ...argv], cwd: dir.path });
    return { code: await code, stdout: stdout.text, stderr: stderr.text };
  };

  test("a script with a wrong key: with the place", async () => {
    const path = script({ tracks: { song: { faults: [{ do: { rest: 1 } }] } } });
    expect(await finished("--script", path)).toEqual(
      complaint(
        "script\\.json: tracks\\.song\\.faults\\[0\\]\\.do\\.rest: there is no such key; known here are latency,",
      ),
    );
  });

  test("a script with a wrong value; one that is no JSON: with the line and the column; one that is not there", async () => {
    expect(await tried("--script", script({ tracks: { song: { size: "big" } } }))).toEqual(
      complaint('tracks\\.song\\.size: "big" is not a size, like 4096 or 512K\\.'),
    );
    expect(await tried("--script", script('{\n  "tracks": {,\n'))).toEqual(
      complaint("is not JSON: see line 2, column 14"),
    );
    expect(await tried("--script", "nowhere.json")).toEqual(complaint("nowhere\\.json: no such file"));
  });

  test.each([
    [["--seed", "x"], '--seed: "x" is not a seed'],
    [["--seed", "4294967296"], "is not a seed"],
    [["--port", "99999"], "is not a port"],
    [["--host", "0.0.0.0"], "unknown option '--host'"],
  ])("%j", async (argv, words) => {
    expect(await tried(...argv)).toEqual(complaint(words));
  });
});

test("a port that is taken is one line, and exit code 1", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  const port = typeof address === "object" && address ? address.port : 0;
  expect(await finished("--port", String(port))).toEqual({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(new RegExp(`^afterbay: 127\\.0\\.0\\.1 port ${port} is taken[^\\n]*\\n$`)),
  });
  other.close();
});

test("equal seeds, equal logs and equal bytes", async () => {
  const path = script({
    faults: {
      random: { rate: 0.5, kinds: ["status", "truncate", "shiftRange", "redirect", "close", "page", "encode"] },
    },
    tracks: { song: { size: 30_000, urls: { requests: 5 } } },
  });
  const play = async (...argv: string[]): Promise<unknown> => {
    const one = await chaos("--script", path, ...argv);
    const bodies: string[] = [];
    for (let n = 0; n < 12; n++) {
      const { url } = JSON.parse(textOf(await get(one.port, "/resolve/song"))) as { url: string };
      const { pathname, search } = new URL(url);
      const got = await get(one.port, pathname + search, {
        headers: { range: `bytes=${n * 100}-${n * 200}`, host: "x" },
      });
      bodies.push(Buffer.from(got.body).toString("base64"));
    }
    const { entries } = JSON.parse(textOf(await get(one.port, "/chaos/log"))) as { entries: Record<string, unknown>[] };
    expect(await stop(one)).toEqual([0, expect.any(Number)]);
    return { entries: entries.map((entry) => ({ ...entry, atMs: 0, tookMs: 0 })), bodies };
  };
  const first = await play("--seed", "7");
  expect(await play("--seed", "7")).toEqual(first);
});

test("a flag may stand in the environment", async () => {
  const path = script({ seed: 3, tracks: { only: {} } });
  const one = await serving(dir.path, ["chaos"], { AFTERBAY_SCRIPT: path, AFTERBAY_SEED: "5" });
  running.push(one);
  expect(JSON.parse(textOf(await get(one.port, "/chaos/counters")))).toMatchObject({ seed: 5, tracks: { only: {} } });
});

test("SIGTERM ends it within 2 s, with 0, whatever hangs", MEASURED, async () => {
  const one = await chaos();
  const hanging = ["/stall", "/pace", "/resolve/resolve-hang"].map((path) =>
    get(one.port, path).catch(() => undefined),
  );
  await eventually(async () => {
    const { live, resolves } = JSON.parse(textOf(await get(one.port, "/chaos/counters"))) as Record<string, number>;
    expect([live, resolves]).toEqual([2, 1]);
  });
  const [code, took] = await stop(one);
  expect([code, await one.stderr]).toEqual([0, ""]);
  expect(took).toBeLessThan(2000);
  await Promise.all(hanging);
});

test("hostile requests leave it alive", async () => {
  const one = await chaos();
  const garbage: readonly RawRequest[] = [
    { path: "song\r\nX: " },
    { method: "\x16\x03\x01" },
    { headers: { "content-length": "-1" } },
    { headers: { "x-huge": "x".repeat(200_000) } },
    { path: `/${"%".repeat(60_000)}` },
    { path: "/chaos/origin/%2e%2e%2fetc%2fpasswd" },
  ];
  for (const hostile of garbage) {
    const status = await request({ port: one.port, ...hostile }).then(
      (got) => got.status,
      // A head that is too long may be cut off while it is sent.
      () => 431,
    );
    expect([400, 404, 431]).toContain(status);
  }
  expect((await get(one.port, "/plain")).body).toHaveLength(1_323_000);
  expect(await stop(one, "SIGINT")).toEqual([0, expect.any(Number)]);
  expect(await one.stderr).toBe("");
});
