import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LookAhead } from "../../src/player/look-ahead.ts";
import { startMpvDriver } from "../../src/player/mpv/mpv-driver.ts";
import { Playback, type PlaybackOptions } from "../../src/player/playback.ts";
import type { PlaybackEvent, PlaybackState } from "../../src/player/playback-state.ts";
import { proxyOutcomes } from "../../src/player/proxy-outcomes.ts";
import { RemoteProxy } from "../../src/player/remote-proxy.ts";
import { fast } from "../data-source/fakes.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";
import { describeWith } from "../players/programs.ts";
import { firstDifference, longestSilence, RATE, samplesOf, wav } from "./sound.ts";
import { MEASURED } from "../helpers/measured.ts";

let rig: Rig;
let dir: TmpDir;
let playback: Playback;
const events: PlaybackEvent[] = [];
beforeEach(async () => {
  dir = await tmpDir();
  events.length = 0;
});
afterEach(async () => {
  await playback.close();
  await rig.close();
  await dir.remove();
});

/** What the webhook source says of ids that begin with these. */
const REFUSALS: Readonly<Record<string, { status: number; body?: object }>> = {
  gone: { status: 404 },
  bad: { status: 410, body: { code: "unplayable", message: "Never" } },
};

async function start(options: RigOptions = {}): Promise<void> {
  rig = await startRig({
    resolve: (id) => REFUSALS[id.replace(/\d+$/, "")] ?? rig.up.resolution(id),
    ...options,
  });
}

async function play(ids: readonly string[], args: readonly string[], options: Partial<PlaybackOptions> = {}) {
  const driver = await startMpvDriver({ args });
  playback = new Playback({
    driver,
    urlFor: ({ source, id }) => rig.proxy.urlFor(id, source),
    outcomeOf: proxyOutcomes(rig.proxy).outcomeOf,
    ...options,
  });
  playback.listen((event) => events.push(event));
  playback.add(ids.map((id) => ({ source: "w", id })));
  playback.play();
}

/** Until the playback's state fits. */
function until(fits: (state: PlaybackState) => boolean, timeoutMs = 15_000): Promise<PlaybackState> {
  return eventually(
    () => {
      if (!fits(playback.state)) throw new Error(`It is ${JSON.stringify({ ...playback.state, queue: [] })}`);
      return playback.state;
    },
    { timeoutMs },
  );
}

function put(name: string, seconds: number, hertz: number): Buffer {
  const content = wav(seconds, hertz);
  rig.up.resource(name, { content, contentType: "audio/wav" });
  return content;
}

const failures = (): string[] =>
  events.flatMap((event) => (event.type === "failed" ? [`${event.entry.id} ${event.code}`] : []));
const toFile = (file: string): string[] => ["--ao=pcm", `--ao-pcm-file=${file}`];

describeWith(["mpv"], "playback with mpv", () => {
  test("one track goes into the next without a gap, and every sample of both is the origin's", async () => {
    await start();
    const both = [put("one", 2, 440), put("two", 2, 550)];
    const file = join(dir.path, "out.wav");
    await play(["one", "two"], toFile(file));
    // Decoding runs ahead of everything: it is held until what follows is at hand.
    playback.pause();
    await until(({ status }) => status === "paused");
    playback.play();
    await until(({ status }) => status === "ended");
    await playback.close();
    const samples = samplesOf(await readFile(file));
    expect(samples).toHaveLength(4 * RATE);
    for (const [index, content] of both.entries()) {
      const part = samples.subarray(2 * RATE * index, 2 * RATE * (index + 1));
      expect(firstDifference(part, samplesOf(content))).toBeUndefined();
    }
    expect(longestSilence(samples)).toBeLessThan(30);
    expect(failures()).toEqual([]);
  });

  test("begins a cached track within 150 ms of what mpv needs alone", MEASURED, async () => {
    await start();
    put("song", 20, 440);
    await rig.get("w/song");
    const direct = await startMpvDriver({ args: ["--ao=null"] });
    await play([], ["--ao=null"]);
    const took: Record<"direct" | "cached", number[]> = { direct: [], cached: [] };
    for (let round = 1; round <= 5; round += 1) {
      const began = performance.now();
      await new Promise<void>((resolve) => {
        const unlisten = direct.listen(({ type }) => {
          if (type !== "started") return;
          unlisten();
          resolve();
        });
        direct.load({ load: round, url: `${rig.up.origin}/song` }, 0);
      });
      took.direct.push(performance.now() - began);
      direct.stop();
      const asked = performance.now();
      playback.clear();
      playback.add([{ source: "w", id: "song" }]);
      playback.play();
      await until(({ status }) => status === "playing");
      took.cached.push(performance.now() - asked);
    }
    await direct.close();
    const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[2] ?? 0;
    expect(median(took.cached) - median(took.direct)).toBeLessThan(150);
  });

  test("of five tracks the one that cannot play is skipped, and only that", async () => {
    await start();
    for (const [index, name] of ["a", "b", "d", "e"].entries()) put(name, 0.5, 300 + 50 * index);
    await play(["a", "b", "bad1", "d", "e"], ["--ao=null"]);
    await until(({ status }) => status === "ended");
    expect(failures()).toEqual(["bad1 unplayable"]);
    for (const name of ["a", "b", "d", "e"]) expect(rig.up.requests(name)).not.toEqual([]);
  });

  test("with nothing that plays it stops at the third, and says why; noise and nothing are no music", async () => {
    await start();
    rig.up.resource("empty", { size: 0 });
    rig.up.resource("noise", { size: 3000 });
    put("never", 1, 440);
    // Five times as fast, for the pauses between its tries.
    await play(["empty", "noise", "gone1", "never"], ["--ao=null"], { clock: fast(5).clock });
    const { error, index } = await until(({ status }) => status === "stopped");
    expect(failures()).toEqual(["empty not-audio", "noise not-audio", "gone1 not-found"]);
    expect(error?.message).toContain("3 tracks in a row could not be played");
    expect(index).toBe(2);
    expect(rig.up.requests("never")).toEqual([]);
  });

  test("an outage in the middle of a track skips nothing: it goes on where it was", async () => {
    await start();
    put("long", 30, 440);
    put("next", 1, 550);
    rig.up.script("long", [
      { when: { request: 1 }, do: { close: { offset: 120_000 } } },
      { when: { request: { from: 2, to: 5 } }, do: { status: 503 } },
    ]);
    // Straight from the upstream: how long a proxy would hide this is not the question.
    const outage = { outcome: "failed", status: 503, code: "offline", retryAfterMs: 200 } as const;
    await play(["long", "next"], ["--ao=null"], {
      urlFor: ({ id }) => `${rig.up.origin}/${id}`,
      outcomeOf: () => outage,
    });
    const { positionMs, waiting } = await until(({ status }) => status === "waiting");
    expect(waiting?.code).toBe("offline");
    const after = await until((state) => state.status === "playing" && state.positionMs > positionMs + 100);
    expect(positionMs).toBeGreaterThan(600);
    expect(after).toMatchObject({ index: 0, waiting: undefined });
    // The first, mpv's own try to go on, and one for each wait.
    expect(rig.up.requests("long").filter(({ status }) => status === 503)).toHaveLength(4);
    expect(failures()).toEqual([]);
  });

  test("the server may be restarted under it", async () => {
    await start();
    put("long", 30, 440);
    rig.up.script("long", [{ do: { pace: 200_000 } }]);
    await play(["long"], ["--ao=null"]);
    await until(({ positionMs }) => positionMs > 300);
    const { port } = rig;
    await rig.restart();
    await rig.proxy.listen({ port });
    const { positionMs } = await until((state) => state.positionMs > 1500);
    expect(positionMs).toBeLessThan(5000);
    expect(failures()).toEqual([]);
  });

  test("after 50 skips and seeks under a faulty upstream, the last track is the origin's to the sample", async () => {
    await start();
    const content = new Map(Array.from({ length: 10 }, (_, n) => [`t${n}`, put(`t${n}`, 6 + n / 2, 300 + 20 * n)]));
    rig.up.script("*", [
      { when: ({ index }) => index % 5 === 0, do: { reset: 40_000 } },
      { when: ({ index }) => index % 7 === 0, do: { status: 503 } },
      { when: ({ index }) => index % 11 === 0, do: { truncate: 30_000 } },
      { when: ({ index }) => index % 3 === 0, do: { latency: 30 } },
    ]);
    const file = join(dir.path, "out.wav");
    await play([...content.keys()], toFile(file));
    let state = 12_345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (state >>> 8) % below;
    };
    for (let action = 0; action < 50; action += 1) {
      const acts = [
        () => playback.next(),
        () => playback.previous(),
        () => playback.jump(playback.queue.entries[random(10)]?.entry ?? 0),
        () => playback.seek(random(7000)),
        () => playback.seekBy(random(4000) - 2000),
      ];
      acts[random(acts.length)]?.();
      await new Promise((resolve) => setTimeout(resolve, random(40)));
    }
    playback.jump(playback.queue.entries.at(-1)?.entry ?? 0);
    await until(({ status, index }) => status === "ended" && index === 9);
    await playback.close();
    const samples = samplesOf(await readFile(file));
    const last = samplesOf(content.get("t9") as Buffer);
    expect(samples.length).toBeGreaterThanOrEqual(last.length);
    expect(firstDifference(samples.subarray(-last.length), last)).toBeUndefined();
    expect(last.length).toBe(10.5 * RATE);
    expect(failures()).toEqual([]);
  });

  test("a server in another process is asked over HTTP: outcomes, the wish list, what is known of tracks", async () => {
    await start({
      resolve: (id) => REFUSALS[id.replace(/\d+$/, "")] ?? rig.up.resolution(id, { loudnessDb: 3, durationMs: 1000 }),
    });
    for (const name of ["a", "b", "c", "d"]) put(name, 10, 440);
    const remote = new RemoteProxy({ url: `http://127.0.0.1:${rig.port}`, list: "test" });
    await play(["bad1", "a", "b", "c", "d"], ["--ao=null"], {
      urlFor: remote.urlFor,
      outcomeOf: remote.outcomeOf,
      factsOf: remote.factsOf,
    });
    const ahead = new LookAhead(playback, { prefetch: remote.prefetch });
    await until(({ status, index }) => status === "playing" && index === 1);
    expect(failures()).toEqual(["bad1 unplayable"]);
    await eventually(async () => expect(await remote.cachedBytes({ source: "w", id: "d" })).toBe(960_044));
    expect(await rig.json("/api/prefetch")).toMatchObject({
      lists: { test: { ids: ["w/b", "w/c", "w/d"], mode: "full" } },
    });
    await remote.prefetch([{ source: "w", id: "d" }]);
    expect(remote.factsOf({ source: "w", id: "d" })).toEqual({ durationMs: 1000, loudnessDb: 3 });
    await ahead.close();
    expect(await rig.json("/api/prefetch")).toMatchObject({ lists: {} });
    expect(await remote.outcomeOf("never-heard-of")).toBeUndefined();
    const stranger = new RemoteProxy({ url: "http://127.0.0.1:1", token: "a/b", list: "test" });
    expect(stranger.urlFor({ source: "w", id: "ä/1" })).toBe("http://127.0.0.1:1/stream/w/%C3%A4%2F1?token=a%2Fb");
    await expect(stranger.outcomeOf("x")).rejects.toThrow();
  });
});
