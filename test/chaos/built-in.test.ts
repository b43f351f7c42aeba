import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtIn } from "../../src/chaos/index.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type RawRequest, type RawResponse, request } from "../helpers/http-client.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { describeWith, succeed } from "../players/programs.ts";
import { textOf } from "./chaos-rig.ts";
import { type Serving, serving, stop } from "./program.ts";

interface Track {
  readonly about: string;
  readonly expect: string;
  readonly faults?: unknown;
}

interface LogEntry {
  readonly kind: "bytes" | "resolve";
  readonly version?: number | string;
  readonly faults?: readonly string[];
  readonly start?: number;
}

interface Counters {
  readonly requests: number;
  readonly resolves: number;
  readonly bytesSent: number;
  readonly uniqueBytes: number;
}

const tracks = Object.entries((builtIn as { tracks: Record<string, Track> }).tracks);
const expected = (outcome: (wanted: string) => boolean): string[] =>
  tracks.filter(([, track]) => outcome(track.expect)).map(([id]) => id);
const playing = expected((wanted) => wanted === "plays");
const cut = expected((wanted) => wanted === "cut");
const failing = tracks
  .filter(([, track]) => !["plays", "cut"].includes(track.expect))
  .map(([id, { expect: code }]) => [id, code] as const);

/** How many tracks play at once. */
const LISTENERS = 24;
/** A source is given up for a while when five of its tracks fail, so those that fail are spread. */
const SOURCES = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
const MINUTE = 44 + 60 * 44_100;
/** Where those end that are cut: most at the end of Afterbay's first window. */
const CUT_AT: Readonly<Record<string, number>> = { wall: MINUTE };
/** Answers that are refused for what their headers say: how much of them is in the kernel's buffers by then is luck. */
const REFUSED = ["ignored-range-later", "range-missing", "range-start", "range-shifted", "random"];

let dir: TmpDir;
let chaos: Serving;
/** So patient that a busy machine is no fault of its own. */
let bay: Serving;
/** Gives up after 2 s, for those that wait for nothing; and follows redirects to private addresses. */
let hasty: Serving;
const HANGING = ["stall-always", "resolve-hang"];
const played = new Map<string, Promise<RawResponse>>();

const pathOf = (id: string): string => {
  const all = [...failing.map(([one]) => one), ...cut, ...playing];
  return `/stream/${SOURCES[all.indexOf(id) % SOURCES.length]}/${id}`;
};
const play = (id: string, options: Partial<RawRequest> = {}): Promise<RawResponse> =>
  request({ port: (HANGING.includes(id) ? hasty : bay).port, path: pathOf(id), ...options });
const origin = async (id: string, query = ""): Promise<Uint8Array> =>
  (await request({ port: chaos.port, path: `/chaos/origin/${id}${query}` })).body;
const control = async (path: string): Promise<unknown> => JSON.parse(textOf(await request({ port: chaos.port, path })));
const log = async (id: string): Promise<readonly LogEntry[]> =>
  ((await control(`/chaos/log?track=${id}`)) as { entries: LogEntry[] }).entries;
const codeOf = (got: RawResponse): unknown => (JSON.parse(textOf(got)) as { code: unknown }).code;
const outcome = (id: string): Promise<RawResponse> =>
  played.get(id) ?? Promise.reject(new Error(`${id} was not played`));

function serve(cacheDir: string, ...argv: string[]): Promise<Serving> {
  const sources = SOURCES.flatMap((source) => ["--source", `${source}=webhook:${chaos.url}/resolve/{id}`]);
  const common = ["--port", "0", "--cache-dir", cacheDir, "--log-level", "error"];
  return serving(dir.path, ["serve", ...common, ...sources, ...argv]);
}

beforeAll(async () => {
  dir = await tmpDir();
  chaos = await serving(dir.path, ["chaos"]);
  [bay, hasty] = await Promise.all([
    serve("cache", "--first-byte", "60s", "--patience", "120s"),
    serve("hasty", "--first-byte", "2s", "--allow-private"),
  ]);
  // The slow ones first, so that they wait side by side.
  const slow = [
    "trickle",
    "stall",
    "stall-headers",
    "status-500-later",
    "url-time",
    "url-time-told",
    "wall",
    "pace",
    ...HANGING,
  ];
  const waiting = [...slow, ...tracks.map(([id]) => id).filter((id) => !slow.includes(id))];
  const next = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      const got = play(id);
      played.set(id, got);
      await got.catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: LISTENERS }, next));
}, 180_000);

afterAll(async () => {
  const ended = await Promise.all([chaos, bay, hasty].map((one) => stop(one)));
  const said = await chaos.stderr;
  await dir.remove();
  expect(ended.map(([code]) => code)).toEqual([0, 0, 0]);
  expect(said).toBe("");
});

describe("every fault of the built-in set, through afterbay serve", () => {
  test.each(playing.filter((id) => !id.startsWith("ads")))("%s plays: each byte is the origin's", async (id) => {
    const got = await outcome(id);
    expect([got.status, got.complete]).toEqual([200, true]);
    assertBytes(got.body, await origin(id));
  });

  test.each(cut)("%s is cut: what came is the origin's, up to the fault", async (id) => {
    const got = await outcome(id);
    expect([got.status, got.complete, got.closed]).toEqual([200, false, true]);
    expect(got.body).toHaveLength(CUT_AT[id] ?? 512 * 1024);
    assertBytes(got.body, (await origin(id)).subarray(0, got.body.length));
  });

  test.each(failing)("%s ends with %s", async (id, code) => {
    const got = await outcome(id);
    expect([codeOf(got), got.headers["content-type"], got.complete]).toEqual([code, "application/problem+json", true]);
    expect(got.status).toBeGreaterThanOrEqual(400);
  });

  test("ads: each byte is that of one and the same request", async () => {
    const { body } = await outcome("ads");
    const versions = (await log("ads")).flatMap(({ version }) => (version === undefined ? [] : [version]));
    const candidates = await Promise.all(versions.map((version) => origin("ads", `?version=${version}`)));
    expect(candidates.filter((bytes) => Buffer.from(bytes).equals(body))).toHaveLength(1);
  });

  test("ads-cut: where the connection broke, the next answer went on in the same version", async () => {
    const { body, complete } = await outcome("ads-cut");
    expect(complete).toBe(true);
    const first = (await log("ads-cut")).filter(({ kind }) => kind === "bytes");
    const base = Buffer.from(await origin("ads-cut"));
    const candidates = await Promise.all(
      first.map(async ({ version }) => {
        const inserted = await origin("ads-cut", `?version=${version}`);
        return Buffer.concat([base.subarray(0, 100_000), inserted.subarray(100_000, 200_000), base.subarray(200_000)]);
      }),
    );
    expect(candidates.filter((bytes) => bytes.equals(body))).toHaveLength(1);
  });
});

test("each fault was there", async () => {
  for (const [id, { faults }] of tracks) {
    const seen = (await log(id)).filter((entry) => (entry.faults ?? []).length > 0);
    expect([id, seen.length > 0]).toEqual([id, faults !== undefined]);
  }
  for (const id of ["url-time", "url-time-told"]) {
    expect((await log(id)).filter(({ kind }) => kind === "resolve").length).toBeGreaterThan(1);
  }
});

test("what was fetched is hardly more than there is, and what is complete is not fetched again", async () => {
  const counters = ((await control("/chaos/counters")) as { tracks: Record<string, Counters> }).tracks;
  const sums = Object.entries(counters).filter(([id]) => playing.includes(id) && !REFUSED.includes(id));
  const sent = sums.reduce((sum, [, one]) => sum + one.bytesSent, 0);
  const unique = sums.reduce((sum, [, one]) => sum + one.uniqueBytes, 0);
  expect(sent / unique).toBeLessThan(1.05);

  // These two never say where they end.
  const whole = playing.filter((id) => !["length-missing", "qualities"].includes(id));
  await Promise.all(
    whole.map((id) =>
      eventually(
        async () => expect((await play(id, { method: "HEAD" })).headers["cache-status"]).toBe("afterbay; hit"),
        { timeoutMs: 15_000, intervalMs: 50 },
      ),
    ),
  );
  const again = await play("reset-often");
  assertBytes(again.body, await origin("reset-often"));
  expect((await control("/chaos/counters")) as object).toMatchObject({
    tracks: { "reset-often": counters["reset-often"] },
  });
});

test.each([
  ["other-variant", "?version=2"],
  ["changed-file", "?version=2"],
  ["changed-size", "?version=2&size=1048576"],
])("%s: a resume is told that it changed, and from 0 the new one plays", async (id, version) => {
  const { body } = await outcome(id);
  const resumed = await play(id, { headers: { range: `bytes=${body.length}-` } });
  expect([resumed.status, codeOf(resumed)]).toEqual([410, "variant-changed"]);
  const anew = await play(id);
  expect([anew.status, anew.complete]).toEqual([200, true]);
  assertBytes(anew.body, await origin(id, version));
});

test.each([
  ["low", 512 * 1024],
  ["high", 2 * 1024 * 1024],
])("qualities: %s has %i bytes of its own", async (quality, size) => {
  const got = await request({ port: bay.port, path: `${pathOf("qualities")}?quality=${quality}` });
  expect(got.complete).toBe(true);
  assertBytes(got.body, await origin("qualities", `?version=${quality}&size=${size}`));
});

test("with --allow-private, a redirect to another port plays; one to a link-local address never does", async () => {
  const got = await request({ port: hasty.port, path: pathOf("redirect-elsewhere") });
  expect([got.status, got.complete]).toEqual([200, true]);
  assertBytes(got.body, await origin("redirect-elsewhere"));
  const refused = await request({ port: hasty.port, path: pathOf("redirect-link-local") });
  expect(codeOf(refused)).toBe("upstream-failed");
});

describeWith(["curl", "sha256sum", "ffmpeg"], "the lines that afterbay chaos prints", () => {
  test("curl and sha256sum: equal hashes", async () => {
    const hash = async (url: string): Promise<string> =>
      (await succeed("sh", ["-c", `curl -sS '${url}' | sha256sum`])).toString().slice(0, 64);
    const id = "close-later";
    expect(await hash(bay.url + pathOf(id))).toBe(await hash(`${chaos.url}/chaos/origin/${id}`));
  });

  test("ffmpeg decodes what was played: the origin's samples, without a complaint", async () => {
    const decoded = async (url: string): Promise<string> => {
      const text = (await succeed("ffmpeg", ["-v", "error", "-i", url, "-f", "md5", "-"])).toString();
      expect(text).toMatch(/^MD5=\w{32}\n$/);
      return text;
    };
    for (const id of ["416-bare", "range-limit"]) {
      expect(await decoded(bay.url + pathOf(id))).toBe(await decoded(`${chaos.url}/chaos/origin/${id}`));
    }
  });
});
