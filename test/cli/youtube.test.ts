import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type FakeYouTube, startFakeYouTube } from "../helpers/innertube/fake.ts";
import { usualFormats } from "../helpers/innertube/video.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const ID = "dQw4w9WgXcQ";

let dir: TmpDir;
let yt: FakeYouTube;
let children: ChildProcess[] = [];
beforeEach(async () => {
  dir = await tmpDir();
  yt = await startFakeYouTube();
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await yt.close();
  await dir.remove();
});

/** A server with this config file. */
async function serve(config: object) {
  const file = join(dir.path, "afterbay.json");
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, [program, "serve", "--config", file, "--port", "0", "--json"], {
    env: { PATH: process.env["PATH"], HOME: dir.path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const stderr = text(child.stderr);
  const exited = once(child, "exit").then(([code]: unknown[]) => code);
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const { url } = JSON.parse(line) as { url: string };
  return { child, stderr, exited, url };
}

it("the built program plays by the clients that its config file lists, and tells no secret", async () => {
  yt.video(ID, {
    formats: usualFormats(),
    // What is read in a worker, and run in a sandbox.
    clients: {
      TVHTML5: { ciphered: true, throttled: true, urls: { upTo: 900_000 } },
      iOS: {},
      "*": { sabrOnly: true },
    },
  });
  const { child, stderr, exited, url } = await serve({
    source: [`youtube?base=${yt.origin.replace("//", "//me:SECRET-WORD@")}&clients=TV@9.1,IOS`],
    logLevel: "debug",
    // A busy machine takes its time to read the player script.
    firstByte: "15s",
  });
  const response = await fetch(`${url}/stream/${ID}`);
  assertBytes(new Uint8Array(await response.arrayBuffer()), yt.bytes(ID, 251));
  expect(yt.calls.map(({ client, version }) => [client, version]).slice(0, 2)).toEqual([
    ["TVHTML5", "9.1"],
    ["TVHTML5", "9.1"],
  ]);
  expect(yt.calls.at(-1)).toMatchObject({ client: "iOS", authorization: `Basic ${btoa("me:SECRET-WORD")}` });
  expect(yt.scripts).toHaveLength(2);
  const tracks = await (await fetch(`${url}/api/tracks`)).text();
  if (process.env["SHOW_MEMORY"]) console.log(readFileSync(`/proc/${child.pid}/status`, "utf8").match(/VmRSS.*/)?.[0]);
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
  const all = `${await stderr}\n${tracks}`;
  expect(all).toContain("Resolved");
  for (const secret of [...yt.secrets, "SECRET-WORD", btoa("me:SECRET-WORD")]) expect(all).not.toContain(secret);
  expect(all).not.toContain("videoplayback");
});

it("caches what a link to a playlist names, by the built program alone", async () => {
  yt.video(ID, { formats: [{ itag: 251, size: 70_000 }] });
  yt.music.playlist("PLx", { songs: [{ id: ID }] });
  const link = "https://music.youtube.com/playlist?list=PLx";
  const child = spawn(process.execPath, [program, "prefetch", link, "--source", yt.spec(), "--json"], {
    env: { PATH: process.env["PATH"], HOME: dir.path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  expect(lines.at(-2)).toMatchObject({ key: `youtube/${ID}`, state: "done", size: 70_000 });
  expect([lines.at(-1), stderr]).toEqual([{ done: true, fetched: 1, failed: 0 }, ""]);
  expect(yt.music.asked()).toEqual(["browse VLPLx"]);
});

it("ends within two seconds while YouTube does not answer", async () => {
  yt.video(ID, { formats: usualFormats(), clients: { "*": { hangs: true } } });
  const { child, exited, url } = await serve({ source: [`youtube?base=${yt.origin}`] });
  const pending = fetch(`${url}/stream/${ID}`).catch(() => {});
  await eventually(() => expect(yt.hanging).toBe(1), { timeoutMs: 10_000 });
  const began = performance.now();
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
  expect(performance.now() - began).toBeLessThan(2000);
  await pending;
});

it("a client that there is none of is refused in one line", async () => {
  const child = spawn(process.execPath, [program, "serve", "--port", "0", "--source", "youtube?clients=NOPE"], {
    env: { PATH: process.env["PATH"], HOME: dir.path },
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^afterbay: [^\n]*knows no client NOPE[^\n]*\n$/)]);
});
