import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { afterEach, expect, test } from "vitest";
import { renderMetrics } from "../../src/http/prometheus.ts";
import { Histogram } from "../../src/sessions/histogram.ts";
import { type RawResponse, request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
let rig: Rig;
afterEach(() => rig.close());

interface Told {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Listens to `/api/events`; `told` grows as events come. */
async function listen(path = "/api/events", port = rig.port): Promise<{ told: Told[]; response: IncomingMessage }> {
  const outgoing = get({ port, host: "127.0.0.1", path, agent: false });
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const told: Told[] = [];
  let text = "";
  response.on("error", () => {});
  response.on("data", (bytes: Buffer) => {
    text += bytes.toString();
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      const [, event, data] = /(?:^|\n)event: (.*)\ndata: (.*)$/.exec(text.slice(0, end)) ?? [];
      if (event !== undefined && data !== undefined) told.push({ event, data: JSON.parse(data) as Told["data"] });
      text = text.slice(end + 2);
    }
  });
  return { told, response };
}

async function metrics(): Promise<string> {
  const got = await request({ port: rig.port, path: "/metrics" });
  expect([got.status, got.headers["content-type"]]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  return Buffer.from(got.body).toString();
}

/** The value of one series, as it is written. */
function valueOf(text: string, series: string): number {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  expect(line, `${series} in\n${text}`).toBeDefined();
  return Number(line?.slice(series.length + 1));
}

const put = (path: string, body: unknown): Promise<RawResponse> =>
  request({ port: rig.port, method: "PUT", path, requestBody: JSON.stringify(body) });

test("/api/events tells of chunks, tracks, requests and prefetches as they happen", async () => {
  rig = await startRig();
  for (const id of ["a", "b"]) rig.up.resource(id, { size: 2 * MiB });
  const { told } = await listen();
  const of = (event: string): Told["data"][] => told.filter((one) => one.event === event).map(({ data }) => data);
  await rig.get("a?play=7");
  await eventually(() => expect(of("track").map(({ change }) => change)).toContain("complete"));
  expect(of("session")).toMatchObject([
    { key: "u/a", play: "7", change: "came", outcome: "open" },
    { key: "u/a", play: "7", change: "answered", outcome: "open", status: 200 },
    { key: "u/a", play: "7", change: "ended", outcome: "complete", bytes: { disk: 0, memory: 0, upstream: 2 * MiB } },
  ]);
  const chunks = of("chunk").flatMap(({ key, from, index, count }) =>
    Array.from({ length: Number(count) }, (_, n) => `${String(key)} ${String(from)} ${Number(index) + n}`),
  );
  expect(chunks).toEqual([0, 1, 2, 3].map((index) => `u/a upstream ${index}`));
  const complete = of("track").find(({ change }) => change === "complete");
  expect(complete).toEqual({ key: "u/a", change: "complete", size: 2 * MiB, cachedBytes: 2 * MiB, complete: true });

  await put("/api/prefetch", { ids: ["u/b", "u/none"], mode: "head" });
  await eventually(() => expect(of("prefetch")).toHaveLength(4));
  expect(of("prefetch").filter(({ key }) => key === "u/b")).toEqual([
    { key: "u/b", mode: "head", state: "fetching" },
    { key: "u/b", mode: "head", state: "done" },
  ]);
  expect(of("prefetch").filter(({ key }) => key === "u/none")).toEqual([
    { key: "u/none", mode: "head", state: "fetching" },
    { key: "u/none", mode: "head", state: "failed", code: "not-found" },
  ]);
  expect(told.every(({ data }) => typeof data === "object")).toBe(true);
});

test("the streams of events end when the server does, which does not wait for them", async () => {
  rig = await startRig();
  const all = await Promise.all(Array.from({ length: 8 }, () => listen()));
  const began = performance.now();
  await rig.proxy.close();
  expect(performance.now() - began).toBeLessThan(1000);
  await eventually(() => expect(all.every(({ response }) => response.complete)).toBe(true));
});

test("A1: the same doors stand before timelines, events and metrics as before the rest", async () => {
  rig = await startRig();
  const { url } = await rig.proxy.listen({ port: 0, token: "s3cret" });
  const port = Number(new URL(url).port);
  for (const path of ["/api/sessions", "/api/events", "/metrics"]) {
    const status = async (more: object, on = rig.port): Promise<number> =>
      (await request({ port: on, path, readBytes: 0, ...more })).status;
    expect(await status({ headers: { host: "evil.example" } })).toBe(403);
    expect(await status({ method: "POST" })).toBe(405);
    expect(await status({}, port)).toBe(403);
    expect(await status({ path: `${path}?token=s3cret` }, port)).toBe(200);
    expect(await status({ headers: { authorization: "Bearer s3cret" } }, port)).toBe(200);
    expect((await request({ port, path: `${path}?token=s3cret`, method: "HEAD" })).body).toHaveLength(0);
    const foreign = await request({ port: rig.port, path, headers: { origin: "http://evil.example" }, readBytes: 0 });
    expect(foreign.headers["access-control-allow-origin"]).toBeUndefined();
    // Listeners are few: a page elsewhere must not take their places, even where it can read nothing.
    if (path !== "/api/events") continue;
    expect(foreign.status).toBe(403);
    expect(await status({ headers: { "sec-fetch-site": "cross-site" } })).toBe(403);
  }
});

test("/metrics counts what players got from where, and what that took upstream", async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 2 * MiB });
  rig.up.resource("cut", { size: MiB });
  rig.up.script("song", [
    { when: { request: 1 }, do: { status: 503 } },
    { when: { request: 2 }, do: { status: 404 } },
    { when: { request: 3 }, do: { close: { offset: 300_000 } } },
  ]);
  await rig.get("w/song");
  await rig.get("w/song");
  await rig.get("w/none?offline=1");
  await rig.get("nosource/x");
  await rig.get("other/x");
  rig.up.script("cut", [{ when: { request: 1 }, do: { stall: 100_000 } }]);
  const open = rig.get("cut");
  const text = await eventually(async () => {
    const now = await metrics();
    expect(valueOf(now, 'afterbay_served_bytes_total{source="u",from="upstream"}')).toBe(100_000);
    return now;
  });
  const expected = {
    'afterbay_requests_total{source="w",outcome="complete"}': 2,
    'afterbay_requests_total{source="w",outcome="failed",code="not-cached"}': 1,
    'afterbay_requests_total{outcome="failed",code="not-found"}': 2,
    'afterbay_served_bytes_total{source="w",from="upstream"}': 2 * MiB,
    'afterbay_served_bytes_total{source="w",from="disk"}': 2 * MiB,
    'afterbay_first_byte_seconds_count{source="w",from="upstream"}': 1,
    'afterbay_first_byte_seconds_count{source="w",from="disk"}': 1,
    'afterbay_first_byte_seconds_bucket{source="w",from="disk",le="+Inf"}': 1,
    'afterbay_open_readers{source="u"}': 1,
    'afterbay_upstream_requests_total{source="w",outcome="transient"}': 2,
    'afterbay_upstream_requests_total{source="w",outcome="url-refused"}': 1,
    'afterbay_upstream_bytes_total{source="w"}': 2 * MiB,
    'afterbay_upstream_bytes_total{source="u"}': 100_000,
    'afterbay_stored_bytes_total{source="w"}': 2 * MiB,
    'afterbay_upstream_retries_total{source="w"}': 2,
    'afterbay_upstream_refreshes_total{source="w"}': 1,
    'afterbay_resolves_total{source="w",outcome="ok"}': 2,
    'afterbay_resolve_seconds_count{source="w"}': 2,
    afterbay_upstream_active: 1,
    afterbay_upstream_waiting: 0,
    afterbay_cache_budget_bytes: 2 * 1024 ** 3,
    afterbay_event_clients: 0,
  };
  for (const [series, value] of Object.entries(expected))
    expect([series, valueOf(text, series)]).toEqual([series, value]);
  expect(valueOf(text, "afterbay_cache_bytes")).toBeGreaterThanOrEqual(2 * MiB);
  expect(valueOf(text, "process_resident_memory_bytes")).toBeGreaterThan(MiB);
  // Of a client's choice: a source that is none.
  expect(text).not.toContain("nosource");
  // Every series is named once, after one HELP and one TYPE of its family.
  const series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(series.every((line) => /^[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+$/.test(line))).toBe(true);
  const names = series.map((line) => line.slice(0, line.lastIndexOf(" ")));
  expect(new Set(names).size).toBe(names.length);
  expect(text.match(/^# TYPE \S+/gm)?.length).toBe(new Set(text.match(/^# TYPE \S+/gm)).size);
  rig.up.release();
  await open;
});

test("evictions are told and counted, wish lists counted", async () => {
  rig = await startRig();
  for (const id of ["a", "b"]) rig.up.resource(id, { size: MiB });
  await put("/api/prefetch", { ids: ["a"], mode: "full" });
  await eventually(async () => expect(valueOf(await metrics(), 'afterbay_prefetch_tracks{state="done"}')).toBe(1));
  await rig.proxy.prefetch(["b"]);
  await eventually(async () => expect(valueOf(await metrics(), "afterbay_cache_bytes")).toBe(2 * MiB));
  expect(valueOf(await metrics(), "afterbay_cache_variants")).toBe(2);
  // What was read a moment ago would stay.
  await rig.restart();
  const { told } = await listen();
  rig.proxy.cacheSize = 1.5 * MiB;
  await eventually(() => expect(told.filter(({ event }) => event === "evict")).toHaveLength(1));
  const evictions = told.flatMap(({ event, data }) => (event === "evict" ? [data as { bytes: number }] : []));
  const { bytes, ...evicted } = evictions[0] ?? { bytes: 0 };
  expect(evicted).toEqual({ key: "u/a", reason: "budget" });
  // Its blocks on disk, and its map's.
  expect(Math.abs(bytes - MiB)).toBeLessThanOrEqual(8 * KiB);
  const text = await metrics();
  expect(valueOf(text, 'afterbay_evictions_total{reason="budget"}')).toBe(1);
  expect(valueOf(text, 'afterbay_evicted_bytes_total{reason="budget"}')).toBe(bytes);
});

test("labels and help are escaped, and what has no series is left out", () => {
  const text = renderMetrics([
    {
      name: "a_total",
      type: "counter",
      help: 'x\\y\n"z"',
      samples: [{ labels: { l: 'x\\y\n"z"', none: "" }, value: 1 }],
    },
    { name: "b", type: "gauge", help: "", samples: [] },
    { name: "c", type: "gauge", help: "c", samples: [{ value: 0.25 }] },
  ]);
  expect(text).toBe(
    '# HELP a_total x\\\\y\\n"z"\n# TYPE a_total counter\na_total{l="x\\\\y\\n\\"z\\""} 1\n# HELP c c\n# TYPE c gauge\nc 0.25\n',
  );
});

test("a histogram counts each value at or below its bounds", () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 3, 100]) histogram.observe(value);
  expect([histogram.cumulative(), histogram.count, histogram.sum]).toEqual([
    [
      [1, 2],
      [2, 4],
      [5, 5],
    ],
    6,
    107.5,
  ]);
});
