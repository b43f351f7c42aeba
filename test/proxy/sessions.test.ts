import { once } from "node:events";
import { get } from "node:http";
import { afterEach, expect, test } from "vitest";
import type { EventReport, RequestReport, SessionReport } from "../../src/sessions/describe.ts";
import type { SessionEvent } from "../../src/events.ts";
import type { Resolution } from "../../src/data-source/resolution.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { fast } from "../data-source/fakes.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
let rig: Rig;
afterEach(() => rig.close());

async function sessions(query = ""): Promise<readonly SessionReport[]> {
  return ((await rig.json(`/api/sessions${query}`)) as { sessions: SessionReport[] }).sessions;
}

/** The only playback there is. */
async function session(query = ""): Promise<SessionReport> {
  const [only, ...others] = await sessions(query);
  expect(others).toEqual([]);
  return only as SessionReport;
}

/** Its newest request. */
const last = ({ requests }: SessionReport): RequestReport => requests.at(-1) as RequestReport;
const events = ({ events: all }: SessionReport, name: string): readonly EventReport[] =>
  all.filter(({ event }) => event === name);
const range = (from: number, to: number | "" = ""): { headers: { range: string } } => ({
  headers: { range: `bytes=${from}-${to}` },
});

test("a player's probe and seeks are one playback, with what each got from where", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 3 * MiB });
  await rig.get("w/song?quality=high", { headers: { range: "bytes=0-1", "user-agent": "mpv 0.40.0" } });
  await eventually(async () => {
    expect(((await rig.json("/api/tracks/w/song")) as { cachedBytes: number }).cachedBytes).toBe(512 * KiB);
  });
  await rig.get("w/song?quality=high", { headers: { range: "bytes=0-", "user-agent": "mpv 0.40.0" } });
  const one = await session();
  expect(one).toMatchObject({
    key: "w/song",
    client: { address: "127.0.0.1", agent: "mpv 0.40.0" },
    outcome: "complete",
    status: 206,
    counts: { resolves: 1, retries: 0, refreshes: 0 },
    dropped: { requests: 0, events: 0 },
  });
  expect(Date.parse(one.startedAt)).toBeGreaterThan(Date.now() - 60_000);
  const [probe, rest] = one.requests as [RequestReport, RequestReport];
  expect(probe).toMatchObject({
    method: "GET",
    range: "bytes=0-1",
    quality: "high",
    status: 206,
    start: 0,
    end: 2,
    cache: "miss",
    contentType: "audio/webm",
    size: 3 * MiB,
    bytes: { disk: 0, memory: 0, upstream: 2 },
    outcome: "complete",
  });
  expect(rest).toMatchObject({ start: 0, end: 3 * MiB, cache: "partial", outcome: "complete" });
  expect(rest.id).toBeGreaterThan(probe.id);
  expect(rest.at).toBeGreaterThan(probe.at);
  for (const { headersMs = NaN, firstByteMs = NaN, durationMs = NaN } of [probe, rest]) {
    expect(firstByteMs).toBeGreaterThan(0);
    expect(firstByteMs).toBeLessThanOrEqual(headersMs);
    expect(headersMs).toBeLessThanOrEqual(durationMs);
  }
  // The probe's window ran to its end: what it brought was here the second time.
  expect(rest.bytes.upstream).toBe(3 * MiB - 512 * KiB);
  expect(rest.bytes.disk + rest.bytes.memory).toBe(512 * KiB);
  expect(one.bytes).toEqual({ ...rest.bytes, upstream: rest.bytes.upstream + 2 });
  const windows = events(one, "window");
  expect(windows.map(({ start, end, status, ended }) => [start, end, status, ended])).toEqual(
    rig.up.requests("song").map(({ range: asked }) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(asked ?? "") ?? [];
      return [Number(from), Number(to) + 1, 206, "ok"];
    }),
  );
  expect(windows.reduce((sum, { bytes }) => sum + Number(bytes), 0)).toBe(3 * MiB);
  expect(windows[0]).toMatchObject({ url: `${rig.up.origin}/song?…`, request: probe.id });
  expect(events(one, "resolve")).toEqual([
    expect.objectContaining({ reason: "first", attempt: 1, ended: "ok", request: probe.id }),
  ]);
});

test("players, tracks and names given by ?play= are told apart; the newest comes first; ?key= and ?play= pick", async () => {
  rig = await startRig();
  for (const id of ["song", "a/b"]) rig.up.resource(id, { size: 1000 });
  const play = (path: string, agent: string) => rig.get(path, { headers: { "user-agent": agent } });
  await play("song", "one");
  await play("song", "two");
  await play("u/a%2Fb", "one");
  await play("song?play=p-1", "one");
  await play("song?play=p-1", "two");
  await play("song?play=p-2", "one");
  await play("song?play=%22%3Cscript%3E", "one");
  expect(
    (await sessions()).map(({ key, play: name, client, requests }) => [key, name, client.agent, requests.length]),
  ).toEqual([
    ["u/song", undefined, "one", 2],
    ["u/song", "p-2", "one", 1],
    ["u/song", "p-1", "one", 2],
    ["u/a%2Fb", undefined, "one", 1],
    ["u/song", undefined, "two", 1],
  ]);
  expect((await session("?key=u/a%252Fb")).key).toBe("u/a%2Fb");
  expect(await sessions("?key=song")).toHaveLength(4);
  expect(await session("?play=p-1")).toMatchObject({ play: "p-1", outcome: "complete" });
  expect(await sessions("?key=u/none")).toEqual([]);
  expect((await request({ port: rig.port, path: "/api/sessions?key=a/b/c" })).status).toBe(400);
  expect((await request({ port: rig.port, path: "/api/sessions", method: "HEAD" })).body).toHaveLength(0);
});

test("retries with their waits, refreshes, redirects and every status are on the timeline", async () => {
  rig = await startRig({ ...fast(20) });
  rig.up.resource("song", { size: MiB });
  rig.up.script("song", [
    { when: { request: 1 }, do: { status: 503 } },
    { when: { request: 2 }, do: { status: 503 } },
    { when: { request: 3 }, do: { status: 404 } },
    { when: { request: 4 }, do: { redirect: { to: `http://user:pw@127.0.0.1:${rig.up.port}/song?x=1` } } },
  ]);
  assertBytes((await rig.get("w/song")).body, rig.up.bytes("song"));
  const one = await session();
  expect(one.counts).toMatchObject({ resolves: 2, retries: 2, refreshes: 1 });
  expect(events(one, "retry")).toMatchObject([
    { retry: 1, waitMs: 0, code: "transient", status: 503 },
    { retry: 2, waitMs: expect.any(Number), code: "transient", status: 503 },
  ]);
  expect(events(one, "retry")[1]?.["waitMs"]).toBeGreaterThan(700);
  expect(events(one, "refresh")).toMatchObject([{ refresh: 1, reason: "not-found", code: "url-refused", status: 404 }]);
  expect(events(one, "resolve")).toMatchObject([
    { reason: "first", attempt: 1 },
    { reason: "not-found", attempt: 2 },
  ]);
  expect(events(one, "window")).toMatchObject([
    { status: 503, ended: "transient", bytes: 0 },
    { status: 503, ended: "transient" },
    { status: 404, ended: "url-refused" },
    { status: 206, ended: "ok", redirects: [`127.0.0.1:${rig.up.port}`], bytes: 512 * KiB },
    { status: 206, ended: "ok", bytes: 512 * KiB },
  ]);
});

test("an error, a cut and a client that left: the outcome that a player hides", async () => {
  const gone = { status: 410, body: { code: "unplayable", message: "Not here" } };
  rig = await startRig({ ...fast(20), resolve: (id: string) => (id === "gone" ? gone : rig.up.resolution(id)) });
  rig.up.resource("song", { size: MiB });
  const told: SessionEvent[] = [];
  rig.proxy.on("session", (event) => told.push(event));

  await rig.get("w/gone?play=1");
  expect(await session("?play=1")).toMatchObject({
    outcome: "failed",
    status: 410,
    code: "unplayable",
    bytes: { upstream: 0 },
  });

  rig.up.script("song", [
    { when: { startBelow: 300_000 }, do: { close: { offset: 300_000 } } },
    { when: { startFrom: 300_000 }, do: { status: 500 } },
  ]);
  await rig.get("w/song?play=2");
  const cut = await session("?play=2");
  expect(cut).toMatchObject({ outcome: "cut", status: 200, code: "upstream-failed", bytes: { upstream: 300_000 } });
  expect(last(cut)).toMatchObject({ start: 0, end: MiB });
  expect(events(cut, "window").at(-1)).toMatchObject({ status: 500, ended: "transient" });

  rig.up.script("song", [{ do: { pace: 200_000 } }]);
  await rig.get("w/song?play=3", { readBytes: 310_000 });
  await eventually(async () => expect((await session("?play=3")).outcome).toBe("left"));
  expect((await session("?play=3")).code).toBeUndefined();

  await rig.get("w/nothing?offline=1&play=4", range(10));
  expect(await session("?play=4")).toMatchObject({ outcome: "failed", status: 504, code: "not-cached" });
  expect(last(await session("?play=4"))).toMatchObject({ offline: true, range: "bytes=10-" });

  rig.up.resource("later", { size: MiB });
  rig.up.script("later", [{ do: { status: 429, retryAfter: 60 } }]);
  const late = await rig.get("w/later?play=5");
  expect(late.headers["retry-after"]).toBe("60");
  expect(await session("?play=5")).toMatchObject({ outcome: "failed", status: late.status, retryAfterMs: 60_000 });

  const of = (play: string): object[] => told.filter((event) => event.play === play);
  expect(of("1")).toMatchObject([
    { key: "w/gone", change: "came", outcome: "open" },
    { change: "ended", outcome: "failed", status: 410, code: "unplayable" },
  ]);
  expect(of("2")).toMatchObject([
    { change: "came" },
    { change: "answered", outcome: "open", status: 200 },
    { change: "ended", outcome: "cut", code: "upstream-failed", bytes: { upstream: 300_000 } },
  ]);
  expect(of("3").at(-1)).toMatchObject({ id: (await session("?play=3")).id, change: "ended", outcome: "left" });
});

test("what goes on is shown as it stands", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: MiB });
  rig.up.script("song", [{ when: { request: 1 }, do: { stall: 100_000 } }]);
  const got = rig.get("w/song");
  const one = await eventually(async () => {
    const now = await session();
    expect(now.bytes.upstream).toBe(100_000);
    return now;
  });
  expect(one).toMatchObject({ outcome: "open", status: 200 });
  expect(one.durationMs).toBeUndefined();
  const [window] = events(one, "window");
  expect(window).toMatchObject({ status: 206, bytes: 100_000 });
  expect(window).not.toHaveProperty("ended");
  rig.up.release();
  await got;
  expect(await session()).toMatchObject({ outcome: "complete", bytes: { upstream: MiB } });
});

test("S2: a playback that joins a prefetch shows it, with what was done before it came", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: MiB });
  rig.up.script("song", [{ when: { request: 1 }, do: { stall: "headers" } }]);
  const ids = JSON.stringify({ ids: ["w/song"] });
  await request({ port: rig.port, method: "PUT", path: "/api/prefetch", requestBody: ids });
  await eventually(() => expect(rig.up.stalled()).toBe(1));
  const got = rig.get("w/song");
  await eventually(async () => expect((await session()).counts.joins).toBe(1));
  rig.up.release();
  assertBytes((await got).body, rig.up.bytes("song"));
  const one = await session();
  expect(events(one, "join")).toMatchObject([{ of: "prefetch" }]);
  const [resolve] = events(one, "resolve");
  expect(resolve?.at).toBeLessThan(0);
  expect(one.counts).toMatchObject({ resolves: 1, joins: 1 });
  expect(rig.hook.calls("song")).toHaveLength(1);
});

test("S1: bytes that others have in memory are told apart from those that are waited for", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: MiB });
  rig.up.script("song", [{ when: { request: 1 }, do: { stall: 100_000 } }]);
  const first = rig.get("w/song", { headers: { "user-agent": "first" } });
  await eventually(async () => expect((await session()).bytes.upstream).toBe(100_000));
  const second = rig.get("w/song", { headers: { "user-agent": "second" } });
  await eventually(async () => expect((await sessions())[0]?.counts.joins).toBe(1));
  rig.up.release();
  await Promise.all([first, second]);
  const [newest, oldest] = (await sessions()) as [SessionReport, SessionReport];
  expect(events(newest, "join")).toMatchObject([{ of: "playback" }]);
  expect(newest.bytes.memory + newest.bytes.disk).toBeGreaterThan(0);
  expect(newest.bytes.memory + newest.bytes.disk + newest.bytes.upstream).toBe(MiB);
  expect(oldest.bytes).toEqual({ disk: 0, memory: 0, upstream: MiB });
});

test("a URL that is asked for before it is needed is on the timeline of who will need it", async () => {
  rig = await startRig({ ...fast(200) });
  rig.up.resource("song", { size: 5 * MiB });
  await rig.get("w/song", range(0, 4 * MiB - 1));
  await rig.up.waitIdle();
  await rig.restart();
  rig.hook.reset();
  assertBytes((await rig.get("w/song")).body, rig.up.bytes("song"));
  expect(events(await session(), "resolve")[0]).toMatchObject({ reason: "first", ahead: true, ended: "ok" });
  expect(rig.hook.calls("song")).toHaveLength(1);
});

test("a change of the variant is on the timeline", async () => {
  rig = await startRig({ signed: true });
  rig.up.resource("song", { size: 2 * MiB, signed: true });
  await rig.get("w/song", range(0, 1000));
  await rig.up.waitIdle();
  rig.up.setResource("song", { version: 2 });
  rig.up.expire("song");
  await rig.get("w/song", range(MiB));
  await rig.get("w/song");
  const one = await session();
  expect(one.requests.map(({ outcome, code }) => code ?? outcome)).toEqual(["complete", "variant-changed", "complete"]);
  expect(events(one, "variant")).toMatchObject([{ from: "1", to: "2", request: last(one).id }]);
});

const SECRET = "hunter2";

/** A source of which every part holds a secret. */
function secretive(id: string): Resolution | { status: number; body?: unknown } {
  const message = `GET http://u:${SECRET}@host/x?sig=${SECRET} with token=${SECRET}, Authorization: Bearer ${SECRET}`;
  if (id === "gone") return { status: 410, body: { code: "unplayable", message } };
  if (id === "odd") return { status: 500, body: message };
  const { url, ...rest } = rig.up.resolution(id);
  const target = new URL(url);
  target.searchParams.set("signature", SECRET);
  target.hash = SECRET;
  const headers = { cookie: `session=${SECRET}`, "x-api-key": SECRET };
  return { ...rest, url: target.href, headers };
}

test("A5: no token, credential or signed URL on timelines, among events, in metrics, logs or error bodies", async () => {
  rig = await startRig({ ...fast(20), resolve: secretive });
  const { url } = await rig.proxy.listen({ port: 0, token: SECRET });
  const port = Number(new URL(url).port);
  for (const id of ["song", "dead", "page", "away", "busy"]) rig.up.resource(id, { size: 1000 });
  rig.up.script("dead", [{ do: { status: 403 } }]);
  rig.up.script("page", [{ do: { page: { contentType: "text/html", text: SECRET } } }]);
  rig.up.script("away", [{ do: { redirect: { to: `http://u:${SECRET}@10.0.0.1/${SECRET}?sig=${SECRET}` } } }]);
  rig.up.script("busy", [{ do: { status: 429, headers: { "x-secret": SECRET } } }]);
  const told: unknown[] = [];
  for (const name of ["session", "chunk", "track"] as const) rig.proxy.on(name, (event) => told.push(event));
  const headers = {
    "user-agent": `player http://u:${SECRET}@x/?token=${SECRET} token=${SECRET}`,
    cookie: `afterbay_token=${SECRET}`,
    authorization: `Bearer ${SECRET}`,
    referer: `http://127.0.0.1/?token=${SECRET}`,
    "x-api-key": SECRET,
    range: "bytes=0-",
  };
  let said = "";
  const listening = get(`${url}/api/events?token=${SECRET}`, (response) => {
    response.on("error", () => {});
    response.on("data", (bytes: Buffer) => (said += bytes.toString()));
  });
  listening.on("error", () => {});
  await once(listening, "response");
  const statuses: number[] = [];
  for (const id of ["song", "dead", "page", "away", "busy", "gone", "odd", "none"]) {
    const got = await request({ port, path: `/stream/w/${id}?token=${SECRET}`, headers });
    statuses.push(got.status);
    said += JSON.stringify(got.headers);
    if (got.status >= 400) said += Buffer.from(got.body).toString();
  }
  // The source has failed for five tracks by then: the last one is refused, unless the fast clock lets it probe.
  expect(statuses).toEqual([
    206,
    502,
    502,
    502,
    502,
    410,
    502,
    expect.toSatisfy((status) => [502, 503].includes(status)),
  ]);
  listening.destroy();
  for (const path of ["/metrics", "/api/sessions", "/api/tracks", "/api/prefetch"]) {
    const got = await request({ port, path: `${path}?token=${SECRET}` });
    expect(got.status).toBe(200);
    said += Buffer.from(got.body).toString();
  }
  said += JSON.stringify(told) + JSON.stringify(rig.log);
  // What is to be hidden was there, and what is to be shown is.
  expect(rig.up.requests("song")[0]?.headers["cookie"]).toContain(SECRET);
  expect(rig.up.requests("song")[0]?.path).toContain(`signature=${SECRET}`);
  expect(said).toContain(`${rig.up.origin}/song?…`);
  expect(said).toContain("event: session");
  expect(said).toContain('outcome="url-refused"');
  expect(said.includes(SECRET), said.slice(Math.max(0, said.indexOf(SECRET) - 300)).slice(0, 600)).toBe(false);
});
