import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/data-source/clock.ts";
import type { DriverEvent } from "../../src/player/driver.ts";
import { connectTo, MpvIpc } from "../../src/player/mpv/ipc.ts";
import { Session } from "../../src/player/mpv/session.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";

/** The other end of mpv's socket: the test says what mpv says, and when. */
let dir: TmpDir;
let server: Server;
let mpv: Socket;
let session: Session;
const told: DriverEvent[] = [];
const asked: { command: unknown; request_id: number }[] = [];

beforeEach(async () => {
  told.length = 0;
  asked.length = 0;
  dir = await tmpDir();
  const path = join(dir.path, "mpv");
  server = createServer().listen(path);
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const ipc = new MpvIpc(await connectTo(path), systemClock);
  [mpv] = await accepted;
  mpv.setEncoding("utf8");
  mpv.on("data", (text: string) => {
    for (const line of text.split("\n").filter((one) => one !== "")) asked.push(JSON.parse(line) as (typeof asked)[0]);
  });
  const process = { ipc, pid: 0, ended: new Promise<string>(() => {}), kill() {}, close: async () => {} };
  session = new Session(process, { clock: systemClock, tell: (event) => told.push(event), onDeath() {} });
});
afterEach(async () => {
  await session.close();
  mpv.destroy();
  server.close();
  await dir.remove();
});

function say(...messages: object[]): void {
  mpv.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
}

/** The last command that holds `word`, answered. */
async function answer(word: string, data?: unknown): Promise<void> {
  const found = await eventually(() => {
    const one = asked.findLast(({ command }) => JSON.stringify(command).includes(word));
    if (one === undefined) throw new Error(`${word} was not asked for: ${JSON.stringify(asked)}`);
    return one;
  });
  asked.splice(asked.indexOf(found), 1);
  say({ request_id: found.request_id, error: "success", data });
}

const plays = (id: number): object[] => [
  { event: "start-file", playlist_entry_id: id },
  { event: "file-loaded" },
  { event: "playback-restart" },
];
const ends = (id: number, reason = "eof", more = {}): object => ({
  event: "end-file",
  playlist_entry_id: id,
  reason,
  ...more,
});
const url = (name: string): string => `http://127.0.0.1/${name}`;
const types = (): string[] =>
  told
    .filter(({ type }) => type !== "opened")
    .map((event) => ("load" in event ? `${event.type} ${event.load}` : event.type));

async function playing(): Promise<void> {
  session.load({ load: 1, url: url("a") }, 0);
  await answer("/a", { playlist_entry_id: 11 });
  say(...plays(11));
  await eventually(() => expect(types()).toEqual(["started 1"]));
  expect(told[0]).toEqual({ type: "opened", load: 1 });
}

test("mpv went on to what is no more to follow, before it heard: it is put right, and that one is not told of", async () => {
  await playing();
  session.setNext({ load: 2, url: url("b") });
  await answer("/b", { playlist_entry_id: 12 });
  session.setNext({ load: 3, url: url("c") });
  say(ends(11), ...plays(12));
  await eventually(() => expect(types()).toContain("ended 1"));
  expect(asked.some(({ command }) => JSON.stringify(command).includes("playlist-play-index"))).toBe(false);
  await answer("/c", { playlist_entry_id: 13 });
  await answer("playlist-play-index");
  say(ends(12, "stop"), ...plays(13));
  await eventually(() => expect(types()).toEqual(["started 1", "ended 1", "started 3"]));
});

test("mpv went on, and nothing is to follow any more: it is stopped", async () => {
  await playing();
  session.setNext({ load: 2, url: url("b") });
  await answer("/b", { playlist_entry_id: 12 });
  session.setNext(undefined);
  say(ends(11), ...plays(12));
  await eventually(() => expect(types()).toContain("ended 1"));
  await answer("playlist-clear");
  await answer('["stop"]');
  expect(types()).toEqual(["started 1", "ended 1"]);
});

test("a load while mpv goes on by itself wins: nothing of what mpv went on to is told or undone", async () => {
  await playing();
  session.setNext({ load: 2, url: url("b") });
  await answer("/b", { playlist_entry_id: 12 });
  session.load({ load: 3, url: url("c") }, 0);
  say(ends(11), ...plays(12));
  await answer("/c", { playlist_entry_id: 13 });
  say(ends(12, "stop"), ...plays(13));
  await eventually(() => expect(types()).toEqual(["started 1", "started 3"]));
  expect(asked.some(({ command }) => /stop|play-index/.test(JSON.stringify(command)))).toBe(false);
});

test("a load overtakes what mpv had begun to tell of what follows", async () => {
  await playing();
  session.setNext({ load: 2, url: url("b") });
  await answer("/b", { playlist_entry_id: 12 });
  session.load({ load: 3, url: url("c") }, 0);
  await answer("/c", { playlist_entry_id: 13 });
  say(ends(11), ...plays(12), ends(12, "stop"), ...plays(13));
  await eventually(() => expect(types()).toEqual(["started 1", "started 3"]));
  expect(asked.some(({ command }) => /stop|play-index/.test(JSON.stringify(command)))).toBe(false);
});

test("a reply and the events behind it are taken in their order, also when they come at once", async () => {
  session.load({ load: 1, url: url("a") }, 0);
  await eventually(() => expect(JSON.stringify(asked)).toContain("/a"));
  const id = asked.find(({ command }) => JSON.stringify(command).includes("/a"))?.request_id;
  say({ request_id: id, error: "success", data: { playlist_entry_id: 5 } }, ...plays(5), ends(5));
  await eventually(() => expect(types()).toEqual(["started 1", "ended 1"]));
});

test("what mpv says of errors is told by what they mean", async () => {
  await playing();
  say(ends(11, "error", { file_error: "audio output initialization failed" }));
  await eventually(() => expect(told.at(-1)).toMatchObject({ type: "ended", reason: "silent" }));
  session.load({ load: 2, url: url("b") }, 0);
  await answer("/b", { playlist_entry_id: 12 });
  say(...plays(12), ends(12, "unknown"));
  await eventually(() => expect(told.at(-1)).toMatchObject({ load: 2, reason: "failed", why: "unknown error" }));
});

test("a file that mpv refuses has failed", async () => {
  session.load({ load: 1, url: url("a") }, 0);
  await eventually(() => expect(JSON.stringify(asked)).toContain("/a"));
  say({ request_id: asked.at(-1)?.request_id, error: "invalid parameter" });
  await eventually(() => expect(told).toMatchObject([{ type: "ended", load: 1, reason: "failed" }]));
});

test("writing to a file as fast as it can, mpv is not believed to be where it was last seen", async () => {
  await playing();
  await answer("current-ao", "pcm");
  await answer("duration", 60);
  await answer("time-pos", 1.5);
  say(ends(11));
  await eventually(() => expect(told.at(-1)).toMatchObject({ type: "ended", positionMs: 60_000 }));
});

test("unless its connection failed", async () => {
  await playing();
  await answer("current-ao", "pcm");
  await answer("duration", 60);
  await answer("time-pos", 1.5);
  const warns = (text: string): object => ({ event: "log-message", prefix: "ffmpeg", level: "warn", text });
  say(
    warns("http: Will reconnect at 5 in 0 second(s)\n"),
    warns("http: HTTP error 503 Service Unavailable\n"),
    ends(11),
  );
  await eventually(() => expect(told.at(-1)).toMatchObject({ type: "ended", positionMs: 1500 }));
});

test("lines that are none, events that are not known, and answers nobody asked for harm nothing", async () => {
  await playing();
  mpv.write(
    'garbage\n\n[1]\nnull\n{"event":5}\n{"request_id":"x"}\n{"request_id":999}\n{"event":"start-file"}\n{"event":"end-file"}\n',
  );
  say({ event: "property-change", name: "time-pos", data: "NaN" }, { event: "log-message" }, { event: "new-thing" });
  say({ event: "property-change", id: 1, name: "time-pos", data: -0.01 });
  await eventually(() => expect(told.at(-1)).toEqual({ type: "position", load: 1, positionMs: 0 }));
  expect(types()).toEqual(["started 1", "position 1"]);
});
