import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { Need } from "../../src/data-source/need.ts";
import { publicUrl } from "../../src/data-source/trace.ts";
import { describePlayback, type SessionReport } from "../../src/sessions/describe.ts";
import { Ends } from "../../src/sessions/ends.ts";
import { type Flight, FlightRecorder } from "../../src/sessions/flight-recorder.ts";
import type { RequestLog } from "../../src/sessions/request-log.ts";
import { ManualClock } from "../data-source/fakes.ts";

function recorder(): { clock: ManualClock; flights: FlightRecorder; reports: () => SessionReport[] } {
  const clock = new ManualClock();
  const flights = new FlightRecorder({ clock });
  const reports = (): SessionReport[] => flights.playbacks.map((one) => describePlayback(one, one.track.id));
  return { clock, flights, reports };
}

function begin(
  flights: FlightRecorder,
  flight: Partial<Flight> = {},
  headers: Record<string, string> = {},
): RequestLog {
  const request = {
    method: "GET",
    headers: { "user-agent": "mpv", ...headers },
    socket: { remoteAddress: "::ffff:10.0.0.7" },
  };
  return flights.begin(request as unknown as IncomingMessage, { source: "s", id: "song", ...flight });
}

test("requests within 60 s after the last one are one playback; a name given by the player holds for longer", async () => {
  const { clock, flights, reports } = recorder();
  begin(flights).ended("complete");
  await clock.advance(59_000);
  const open = begin(flights);
  await clock.advance(3_600_000);
  begin(flights).ended("left");
  open.ended("complete");
  expect(reports()).toMatchObject([{ id: 1, requests: [{}, { at: 59_000 }, {}], client: { address: "10.0.0.7" } }]);
  await clock.advance(61_000);
  begin(flights).ended("complete");
  expect(reports().map(({ id, requests }) => [id, requests.length])).toEqual([
    [2, 1],
    [1, 3],
  ]);
  begin(flights, { play: "x" }).ended("complete");
  await clock.advance(3_600_000);
  begin(flights, { play: "x" }).ended("complete");
  expect(reports()[0]).toMatchObject({ id: 3, requests: [{}, {}] });
});

test("the outcome is that of an open request, else of the last one that came", () => {
  const { flights, reports } = recorder();
  const first = begin(flights);
  const second = begin(flights);
  second.ended("failed", { code: "offline", status: 503 });
  expect(reports()[0]).toMatchObject({ outcome: "open" });
  first.ended("left");
  first.ended("complete");
  expect(reports()[0]).toMatchObject({ outcome: "failed", code: "offline", status: 503 });
});

test("the last 100 playbacks are kept; one that goes on stays in place of an older one that is over", () => {
  const { flights, reports } = recorder();
  const open = begin(flights, { id: "open" });
  for (let n = 0; n < 250; n += 1) begin(flights, { id: String(n) }).ended("complete");
  expect(reports().map(({ key }) => key)).toEqual([...Array.from({ length: 99 }, (_, n) => String(249 - n)), "open"]);
  open.ended("complete");
  begin(flights, { id: "250" });
  expect(reports().at(-1)?.key).toBe("151");
  for (let n = 0; n < 250; n += 1) begin(flights, { id: `o${n}` });
  expect(reports()).toHaveLength(100);
  expect(flights.open.size).toBe(251);
});

test("of a long playback the beginning and the end are kept, and what is between is counted", () => {
  const { flights, reports } = recorder();
  const need = new Need(() => 1000);
  for (let n = 0; n < 1000; n += 1) {
    const log = begin(flights);
    log.reading({ diskBytes: 10, memoryBytes: 0, upstreamBytes: 1 });
    log.onFollow(need, undefined);
    need.tell({ event: "retry", retry: n, waitMs: 0, code: "transient" });
    log.ended("left");
  }
  const [one] = reports() as [SessionReport];
  expect(one.requests.map(({ id }) => id)).toEqual([
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    ...Array.from({ length: 24 }, (_, n) => 977 + n),
  ]);
  expect(one.events).toHaveLength(96);
  expect(one.events.at(-1)).toMatchObject({ event: "retry", retry: 999, request: 1000 });
  expect(one.dropped.requests).toBe(968);
  expect(one.dropped.events + one.events.length).toBe(one.counts.retries);
  expect(one.bytes).toEqual({ disk: 10_000, memory: 0, upstream: 1000 });
});

test("a need that several requests wait for tells each; who comes later learns what was so far, who left learns nothing more", () => {
  const { flights, reports } = recorder();
  let now = 500;
  const need = new Need(() => now);
  const early = begin(flights, { id: "a" });
  early.onFollow(need, undefined);
  early.onFollow(need, 0);
  const window = need.tell({ event: "window", url: "http://h/x", start: 0, bytes: 0 });
  now = 700;
  const late = begin(flights, { id: "b" });
  late.onFollow(need, 2);
  window.bytes = 42;
  begin(flights, { id: "a" }).onFollow(need, 0);
  early.ended("left");
  need.tell({ event: "preempted" });
  const [a, b] = reports() as [SessionReport, SessionReport];
  expect(a.events).toMatchObject([
    { event: "window", at: -500, bytes: 42, request: early.id },
    { event: "join", of: "playback" },
    { event: "preempted" },
  ]);
  expect(b.events).toMatchObject([
    { event: "join", of: "prefetch" },
    { event: "window", bytes: 42 },
    { event: "preempted" },
  ]);
  expect([a.counts.windows, b.counts.windows]).toEqual([1, 1]);
});

test("what a client says of itself is shown short, in one line and without secrets", () => {
  const { flights, reports } = recorder();
  const agent = `VLC\r\n<b>\u0007 https://u:pw@h/p?token=1 Bearer abc ${"x".repeat(5000)}`;
  begin(flights, {}, { "user-agent": agent, range: `bytes=${"0-1,".repeat(1000)}` });
  const [one] = reports() as [SessionReport];
  expect(one.client.agent).toMatch(/^VLC <b> https:\/\/h\/… Bearer … x+…$/);
  expect(one.client.agent.length).toBeLessThan(130);
  expect(one.requests[0]?.range?.length).toBeLessThan(110);
});

test("ends keep the order, and the last one", () => {
  for (let length = 0; length < 20; length += 1) {
    const ends = new Ends<number>(2, 3);
    const all = Array.from({ length }, (_, n) => n);
    for (const n of all) ends.push(n);
    expect([...ends]).toEqual(length <= 5 ? all : [0, 1, ...all.slice(-3)]);
    expect(ends.dropped).toBe(Math.max(0, length - 5));
  }
});

test.each([
  [
    "https://user:pw@cdn.example:8443/music/song.mp3?sig=abc&expire=1#frag",
    "https://cdn.example:8443/music/song.mp3?…",
  ],
  ["http://h/videoplayback/expire/17/sig/AJf9x0/id/abc", "http://h/videoplayback/expire/17/sig/…/id/abc"],
  ["http://h/s/eyJhbGciOiJIUzI1NiJ9.x1/a.flac", "http://h/s/…/a.flac"],
  ["http://h/a;jsessionid=12/b", "http://h/a;…/b"],
  ["http://h/token/hunter2/a", "http://h/token/…/a"],
  ["http://h/", "http://h/"],
])("the URL %s is shown as %s", (url, shown) => {
  expect(publicUrl(new URL(url))).toBe(shown);
});
