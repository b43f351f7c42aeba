import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RequestOutcome } from "../../src/player/outcome.ts";
import { Playback, type PlaybackOptions } from "../../src/player/playback.ts";
import type { PlaybackEvent } from "../../src/player/playback-state.ts";
import { Queue, REPEATS } from "../../src/player/queue.ts";
import { ManualClock, settle } from "../data-source/fakes.ts";
import { FakeDriver, nameOf, playOf } from "./fake-driver.ts";

const tracks = (...ids: string[]) => ids.map((id) => ({ source: "s", id }));

interface World {
  readonly playback: Playback;
  readonly driver: FakeDriver;
  readonly clock: ManualClock;
  readonly events: PlaybackEvent[];
  /** What the proxy says of the requests for a track. */
  readonly outcomes: Map<string, RequestOutcome | Promise<RequestOutcome> | undefined>;
  readonly entry: (id: string) => number;
}

function world(ids: string, options: Partial<PlaybackOptions> = {}): World {
  const driver = new FakeDriver();
  const clock = new ManualClock();
  const outcomes: World["outcomes"] = new Map();
  const playback = new Playback({
    driver,
    clock,
    random: () => 0.999,
    urlFor: ({ id }) => `http://proxy/${id}`,
    outcomeOf: (play) => {
      const track = driver.tracks.find((one) => playOf(one) === play);
      return track === undefined ? undefined : outcomes.get(nameOf(track));
    },
    ...options,
  });
  const events: PlaybackEvent[] = [];
  playback.listen((event) => events.push(event));
  if (ids !== "") playback.add(tracks(...ids.split("")));
  driver.take();
  const entry = (id: string): number => playback.queue.entries.find((one) => one.id === id)?.entry ?? -1;
  return { playback, driver, clock, events, outcomes, entry };
}

/** Plays the first track, which sounds. */
function playing(ids: string, options: Partial<PlaybackOptions> = {}): World {
  const made = world(ids, options);
  made.playback.play();
  made.driver.begin();
  made.driver.at(5000);
  made.driver.take();
  return made;
}

const current = ({ playback }: World): string | undefined => playback.queue.current?.id;

describe("play", () => {
  test("opens the proxy's address at once, asks for nothing else, and then has what follows at hand", () => {
    const { playback, driver } = world("abc");
    playback.play();
    expect(driver.take()).toEqual(["load a"]);
    expect(driver.loaded.url).toMatch(/^http:\/\/proxy\/a\?play=[a-f0-9]{12}-1$/);
    expect(playback.state).toMatchObject({ status: "loading", loading: true, index: 0 });
    driver.begin();
    expect(driver.take()).toEqual(["next b"]);
    expect(playback.state).toMatchObject({ status: "playing", loading: false, durationMs: 200_000 });
  });

  test("goes on through the queue without loading what follows, to the end", () => {
    const made = playing("abc");
    const { playback, driver } = made;
    driver.end();
    expect(driver.take()).toEqual(["next c"]);
    expect(playback.state).toMatchObject({ status: "playing", index: 1, positionMs: 0 });
    driver.end();
    driver.end();
    expect(driver.take()).toEqual(["stop"]);
    expect(playback.state).toMatchObject({ status: "ended", index: 2 });
    playback.play();
    expect(current(made)).toBe("a");
    playback.add(tracks("d"));
  });

  test("after the end goes on with what was added since", () => {
    const made = playing("a");
    made.driver.end();
    made.playback.add(tracks("b"));
    made.playback.play();
    expect(current(made)).toBe("b");
    expect(made.driver.take()).toContain("load b");
  });

  test("pauses, resumes, also before there is sound; stops, and begins anew", () => {
    const { playback, driver } = world("ab");
    playback.play();
    playback.pause();
    expect(playback.state).toMatchObject({ status: "loading", paused: true });
    driver.begin();
    expect(playback.state.status).toBe("paused");
    playback.toggle();
    expect(playback.state.status).toBe("playing");
    playback.toggle();
    expect(driver.take()).toEqual(["load a", "pause", "next b", "pause"]);
    playback.stop();
    playback.toggle();
    expect(driver.take()).toEqual(["stop", "load a"]);
  });

  test("an id that cannot have an address is skipped", () => {
    const urlFor = ({ id }: { id: string }): string => {
      if (id === "b") throw new Error("No");
      return `http://proxy/${id}?token=t`;
    };
    const { driver, playback, entry } = playing("abc", { urlFor });
    playback.jump(entry("b"));
    expect(driver.take()).toEqual(["load c"]);
    expect(driver.loaded.url).toMatch(/^http:\/\/proxy\/c\?token=t&play=/);
  });
});

describe("what follows", () => {
  test("is replaced when the queue changes, and only then", () => {
    const { playback, driver, entry } = playing("abc");
    playback.playNext(tracks("x"));
    expect(driver.take()).toEqual(["next x"]);
    playback.add(tracks("d"));
    playback.move(entry("d"), 3);
    playback.setVolume(40);
    expect(driver.take()).toEqual([]);
    playback.remove([entry("x")]);
    playback.setRepeat("one");
    playback.setRepeat("all");
    playback.setShuffle(true);
    expect(driver.take()).toEqual(["next b", "next a", "next b"]);
    playback.clear();
    expect(driver.take()).toEqual(["stop"]);
    expect(playback.state).toMatchObject({ status: "stopped", queue: [], index: -1 });
  });

  test("nothing follows the last track, unless all repeat", () => {
    const { playback, driver } = playing("a");
    playback.setRepeat("all");
    playback.setRepeat("off");
    expect(driver.take()).toEqual(["next a", "next nothing"]);
  });

  test("of a track that is repeated, each time is a start of its own", () => {
    const { playback, driver } = playing("a");
    playback.setRepeat("one");
    const plays = [driver.loaded];
    for (let round = 0; round < 3; round += 1) {
      driver.end();
      plays.push(driver.loaded);
    }
    expect(new Set(plays.map(playOf)).size).toBe(4);
    expect(new Set(plays.map(({ load }) => load)).size).toBe(4);
    expect(playback.state).toMatchObject({ status: "playing", index: 0 });
  });

  test("taking out what plays goes on with what is behind it", () => {
    const made = playing("abc");
    made.playback.remove([made.entry("a")]);
    expect(current(made)).toBe("b");
    expect(made.driver.take()).toEqual(["load b"]);
    made.playback.remove([made.entry("b"), made.entry("c")]);
    expect(made.playback.state.status).toBe("stopped");
  });
});

describe("skips", () => {
  test("50 in 5 s: the first and the last load; what is passed over is not even asked for", async () => {
    const made = playing("abc".repeat(30));
    const { playback, driver, clock } = made;
    for (let skip = 0; skip < 50; skip += 1) {
      playback.next();
      await clock.advance(100);
    }
    expect(driver.take().filter((call) => call.startsWith("load"))).toHaveLength(1);
    expect(playback.state).toMatchObject({ index: 50, status: "loading" });
    await clock.advance(300);
    expect(driver.take()).toEqual(["load c"]);
  });

  test("previous restarts after 3 s, and goes back before", () => {
    const made = playing("abc");
    const { playback, driver, clock } = made;
    playback.next();
    driver.begin();
    driver.at(3001);
    driver.take();
    playback.previous();
    expect(driver.take()).toEqual(["seek 0"]);
    driver.at(0);
    return clock.advance(1000).then(() => {
      playback.previous();
      expect(current(made)).toBe("a");
    });
  });

  test("next behind the last track ends; next while one repeats goes on", () => {
    const made = playing("ab");
    made.playback.setRepeat("one");
    made.playback.next();
    expect(current(made)).toBe("b");
    made.playback.setRepeat("off");
    made.playback.next();
    expect(made.playback.state).toMatchObject({ status: "ended", index: 1 });
  });

  test("a jump plays, also when it was paused; one to nowhere changes nothing", () => {
    const made = playing("abc");
    made.playback.pause();
    made.playback.jump(99);
    expect(current(made)).toBe("a");
    made.playback.jump(made.entry("c"));
    expect(made.playback.state).toMatchObject({ index: 2, paused: false });
  });
});

describe("seeks", () => {
  test("show at once, are done at once and at last, and hold until the player is there", async () => {
    const { playback, driver, clock } = playing("ab");
    for (let step = 1; step <= 50; step += 1) {
      playback.seekBy(1000);
      expect(playback.state.positionMs).toBe(5000 + step * 1000);
      driver.at(5200);
      await clock.advance(100);
    }
    expect(driver.take()).toEqual(["seek 6000"]);
    expect(playback.state.positionMs).toBe(55_000);
    await clock.advance(250);
    expect(driver.take()).toEqual(["seek 55000"]);
    driver.at(6100);
    expect(playback.state.positionMs).toBe(55_000);
    driver.emit({ type: "settled", load: driver.loaded.load });
    driver.at(55_100);
    expect(playback.state.positionMs).toBe(55_100);
    driver.at(55_300);
    expect(playback.state.positionMs).toBe(55_300);
  });

  test("a player that cannot get there is believed after a while", async () => {
    const { playback, driver, clock } = playing("ab");
    playback.seek(50_000);
    driver.emit({ type: "settled", load: driver.loaded.load });
    driver.at(7000);
    expect(playback.state.positionMs).toBe(50_000);
    await clock.advance(1001);
    driver.at(8000);
    expect(playback.state.positionMs).toBe(8000);
  });

  test("a player that takes no seek is believed after a while", async () => {
    const { playback, driver, clock } = playing("ab");
    playback.seek(50_000);
    await clock.advance(4000);
    driver.at(9000);
    expect(playback.state.positionMs).toBe(50_000);
    await clock.advance(1001);
    driver.at(10_000);
    expect(playback.state.positionMs).toBe(10_000);
  });

  test("before there is sound wait for it; past the end is the end", () => {
    const made = world("ab");
    const { playback, driver } = made;
    playback.play();
    playback.seek(30_000);
    driver.begin();
    expect(driver.take()).toEqual(["load a", "next b", "seek 30000"]);
    playback.seek(200_000);
    expect(driver.take()).toEqual(["load b"]);
    driver.begin();
    playback.seek(Number.POSITIVE_INFINITY);
    expect(playback.state.status).toBe("ended");
  });

  test("a length that is only said ends nothing", () => {
    const { playback, driver } = world("ab", { factsOf: () => ({ durationMs: 1 }) });
    playback.play();
    playback.seek(30_000);
    driver.begin();
    expect(driver.take()).toEqual(["load a", "next b", "seek 30000"]);
  });

  test("of nothing, to nowhere, or backwards beyond the beginning", () => {
    world("").playback.seek(5);
    const { playback, driver } = playing("ab");
    playback.seek(Number.NaN);
    playback.seekBy(-1e9);
    expect(driver.take()).toEqual(["seek 0"]);
  });
});

describe("an end too early", () => {
  test("is loaded again where it was; what would follow is not heard meanwhile", async () => {
    const { driver, outcomes, playback } = playing("ab");
    outcomes.set("a", { outcome: "left" });
    driver.at(60_000);
    driver.end(60_000);
    expect(driver.take()).toEqual(["stop"]);
    await settle();
    expect(driver.take()).toEqual(["load a@60000"]);
    expect(playback.state).toMatchObject({ status: "loading", index: 0, positionMs: 60_000 });
  });

  test("three times; then the track counts as failed, and since it was heard, not against the next ones", async () => {
    const made = playing("ab");
    const { driver, outcomes, clock, events } = made;
    outcomes.set("a", { outcome: "left" });
    for (let round = 0; round < 4; round += 1) {
      driver.end(60_000);
      await settle();
      await clock.advance(1000);
      if (round < 3) driver.begin();
    }
    expect(events.filter(({ type }) => type === "failed")).toMatchObject([{ code: "cut-short" }]);
    expect(driver.take().filter((call) => call.startsWith("load"))).toEqual([
      "load a@5000",
      "load a@5000",
      "load a@5000",
      "load b",
    ]);
    expect(current(made)).toBe("b");
  });

  test("a minute of sound forgives what was before", async () => {
    const made = playing("ab");
    const { driver, outcomes, clock } = made;
    outcomes.set("a", { outcome: "left" });
    for (let round = 0; round < 10; round += 1) {
      driver.end(5000 + round * 60_001);
      await settle();
      await clock.advance(500);
      driver.begin(driver.loaded, 3_600_000);
      driver.at(5000 + (round + 1) * 60_001);
    }
    expect(current(made)).toBe("a");
  });

  test("that is sent whole and ends there again is its end", async () => {
    const made = playing("ab");
    made.outcomes.set("a", { outcome: "complete", status: 206 });
    made.driver.at(190_000);
    made.driver.end(190_000);
    await settle();
    made.driver.begin();
    made.driver.end(190_000);
    await settle();
    expect(current(made)).toBe("b");
    expect(made.events.filter(({ type }) => type === "failed")).toEqual([]);
  });

  test("what is learned of it too late acts on nothing", async () => {
    const made = playing("abc");
    let answer: (outcome: RequestOutcome) => void = () => {};
    made.outcomes.set("a", new Promise((resolve) => (answer = resolve)));
    made.driver.end(60_000);
    made.playback.next();
    made.driver.take();
    answer({ outcome: "failed", status: 404, code: "not-found" });
    await settle();
    expect(made.driver.take()).toEqual([]);
    expect(current(made)).toBe("b");
    expect(made.events.filter(({ type }) => type === "failed")).toEqual([]);
  });
});

describe("failures", () => {
  test("404 and 410 skip at once, and say so", async () => {
    const made = world("abc");
    made.outcomes.set("a", { outcome: "failed", status: 404, code: "not-found" });
    made.outcomes.set("b", { outcome: "failed", status: 410, code: "unplayable" });
    made.playback.play();
    made.driver.fail();
    await settle();
    made.driver.fail();
    await settle();
    expect(made.driver.take()).toEqual(["load a", "stop", "load b", "stop", "load c"]);
    expect(made.events.filter(({ type }) => type === "failed")).toMatchObject([
      { entry: { id: "a" }, code: "not-found" },
      { entry: { id: "b" }, code: "unplayable" },
    ]);
  });

  test("an outage of 20 s is waited for, and the track goes on where it was", async () => {
    const made = playing("ab");
    const { driver, outcomes, clock, playback } = made;
    outcomes.set("a", { outcome: "failed", status: 503, code: "offline", retryAfterMs: 5000 });
    driver.at(60_000);
    driver.end(60_000);
    await settle();
    expect(playback.state).toMatchObject({
      status: "waiting",
      positionMs: 60_000,
      waiting: { code: "offline", retryAt: clock.wall() + 5000 },
    });
    for (let waited = 0; waited < 20_000; waited += 5000) {
      await clock.advance(5000);
      expect(driver.take()).toContain("load a@60000");
      if (waited < 15_000) driver.fail();
      await settle();
    }
    driver.begin();
    expect(playback.state).toMatchObject({ status: "playing", index: 0, waiting: undefined });
    expect(made.events.filter(({ type }) => type === "failed")).toEqual([]);
  });

  test("play, next and previous end a wait; a pause does not", async () => {
    const made = playing("ab");
    const { driver, outcomes, clock, playback } = made;
    outcomes.set("a", { outcome: "failed", status: 503, code: "offline", retryAfterMs: 5000 });
    driver.end(60_000);
    await settle();
    playback.pause();
    await clock.advance(5000);
    driver.fail();
    await settle();
    expect(driver.take()).toEqual(["stop", "pause", "pause", "load a@5000", "stop"]);
    playback.play();
    expect(driver.take()).toEqual(["load a@5000"]);
    driver.fail();
    await settle();
    playback.next();
    await clock.advance(60_000);
    expect(driver.take()).toEqual(["stop", "load b"]);
    expect(made.playback.state.waiting).toBeUndefined();
  });

  test("three tracks in a row that nothing was heard of: it stops, says why, and a play tries again", async () => {
    const made = world("abcde");
    for (const id of "abcde") made.outcomes.set(id, { outcome: "failed", status: 410, code: "unplayable" });
    made.playback.play();
    for (let round = 0; round < 3; round += 1) {
      made.driver.fail();
      await settle();
    }
    expect(made.playback.state).toMatchObject({ status: "stopped", index: 2, error: { code: "unplayable" } });
    expect(made.playback.state.error?.message).toMatch(/3 tracks in a row could not be played/);
    made.driver.take();
    made.playback.play();
    expect(made.driver.take()).toEqual(["load c"]);
    expect(made.playback.state.error).toBeUndefined();
  });

  test("every fifth track: only that one is skipped, however often", async () => {
    const made = world("abcdXabcdXabcdXabcdX");
    made.outcomes.set("X", { outcome: "failed", status: 404, code: "not-found" });
    made.playback.play();
    made.driver.bad.add("X");
    const heard: string[] = [];
    made.driver.begin();
    for (let round = 0; round < 30 && made.playback.state.status !== "ended"; round += 1) {
      heard.push(nameOf(made.driver.loaded));
      made.driver.end();
      await settle();
      if (made.playback.state.status === "loading") made.driver.begin();
    }
    expect(heard.join("")).toBe("abcd".repeat(4));
    expect(made.events.filter(({ type }) => type === "failed")).toHaveLength(4);
  });

  test("the last track of all that fails ends the queue, with its reason", async () => {
    const made = world("a");
    made.outcomes.set("a", { outcome: "failed", status: 404, code: "not-found" });
    made.playback.play();
    made.driver.fail();
    await settle();
    expect(made.playback.state).toMatchObject({
      status: "ended",
      error: { code: "not-found", entry: made.entry("a") },
    });
  });

  test("one that repeats and fails does not go round for ever", async () => {
    const made = world("a");
    made.outcomes.set("a", { outcome: "failed", status: 404, code: "not-found" });
    made.playback.setRepeat("all");
    made.playback.play();
    for (let round = 0; round < 3; round += 1) {
      made.driver.fail();
      await settle();
    }
    expect(made.playback.state.status).toBe("stopped");
    expect(made.driver.tracks).toHaveLength(3);
  });

  test("variant-changed loads again: from the beginning, then to where it was", async () => {
    const made = playing("ab");
    made.outcomes.set("a", { outcome: "failed", status: 410, code: "variant-changed" });
    made.driver.at(60_000);
    made.driver.end(60_000);
    await settle();
    expect(made.driver.take()).toEqual(["stop", "load a@60000"]);
  });

  test("a proxy that cannot be asked is one that is away", async () => {
    const made = world("ab", { outcomeOf: () => Promise.reject(new Error("refused")) });
    made.playback.play();
    made.driver.fail();
    await settle();
    expect(made.playback.state).toMatchObject({ status: "waiting", waiting: { code: "unreachable" } });
  });

  test("nothing to play sound on, and a player that cannot be started, stop: no track is to blame", () => {
    const made = playing("ab");
    made.driver.emit({ type: "ended", load: made.driver.loaded.load, reason: "silent", positionMs: 5000 });
    expect(made.playback.state).toMatchObject({
      status: "stopped",
      index: 0,
      positionMs: 5000,
      error: { code: "no-sound" },
    });
    made.playback.play();
    expect(made.driver.take()).toEqual(["stop", "load a@5000"]);
    made.driver.emit({ type: "broken", message: "mpv ended 4 times" });
    expect(made.playback.state).toMatchObject({
      status: "stopped",
      positionMs: 5000,
      error: { message: "mpv ended 4 times" },
    });
  });

  test("a driver that restarts is told anew what follows", () => {
    const { driver, playback } = playing("ab");
    driver.emit({ type: "restarting" });
    expect(playback.state).toMatchObject({ status: "loading", positionMs: 5000 });
    driver.begin();
    expect(driver.take()).toEqual(["next b"]);
  });
});

describe("loudness", () => {
  const factsOf = ({ id }: { id: string }) =>
    ({ a: { loudnessDb: 5.5 }, b: { loudnessDb: -7 }, c: { durationMs: 60_000 }, d: { loudnessDb: 99 } })[id];

  test("loud tracks are played softer, others as they are", () => {
    const { playback, driver } = playing("abcd", { factsOf });
    driver.end();
    driver.end();
    expect(playback.state.durationMs).toBe(200_000);
    driver.end();
    expect(driver.tracks.map(({ gainDb }) => gainDb)).toEqual([-5.5, undefined, undefined, -24]);
  });

  test("can be turned off, from the next track on", () => {
    const { playback, driver } = playing("da", { factsOf });
    playback.setNormalize(false);
    expect(driver.take()).toEqual(["next a"]);
    expect(driver.next?.gainDb).toBeUndefined();
  });

  test("a length that is known is shown before the player knows it", () => {
    const { playback } = world("c", { factsOf });
    playback.play();
    expect(playback.state.durationMs).toBe(60_000);
  });
});

test("goes on where another one left off, when asked to", () => {
  const queue = Queue.empty
    .add(tracks("a", "b"), () => 0)
    .next()
    .next();
  const made = world("", { remembered: { queue, positionMs: 70_000, volume: 30, normalize: false } });
  expect(made.playback.state).toMatchObject({ status: "stopped", index: 1, positionMs: 70_000, volume: 30 });
  made.playback.play();
  expect(made.driver.take()).toEqual(["load b@70000"]);
});

test("volume stays within its bounds", () => {
  const { playback } = world("");
  playback.setVolume(150);
  expect(playback.state.volume).toBe(100);
  playback.setVolume(-1);
  expect(playback.state.volume).toBe(0);
  playback.setVolume(Number.NaN);
  expect(playback.state.volume).toBe(0);
});

test("many changes at one moment are told once, with the last state", async () => {
  const { playback, events } = world("abc");
  await settle();
  events.length = 0;
  playback.play();
  playback.setVolume(10);
  playback.setRepeat("all");
  await settle();
  expect(events).toEqual([{ type: "state", state: playback.state }]);
  expect(playback.state).toMatchObject({ volume: 10, repeat: "all", status: "loading" });
});

test("is silent once it is closed, and closes its driver", async () => {
  const { playback, driver, events } = playing("ab");
  await settle();
  events.length = 0;
  await playback.close();
  driver.end();
  playback.next();
  await settle();
  expect(events).toEqual([]);
  expect(driver.take()[0]).toBe("close");
});

test("no order of commands and events, stale ones too, breaks it, or makes it play what is not current", async () => {
  const number = fc.constantFrom(Number.NaN, -1, 0, 1, 2, 50, 1e12, Number.POSITIVE_INFINITY);
  const step = fc.tuple(fc.nat(29), number, fc.nat(5));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { playback, driver, clock, outcomes } = world("abcdefgh");
      const codes = ["not-found", "offline", "variant-changed", "internal"] as const;
      for (const [index, id] of ["a", "c", "e", "g"].entries()) {
        outcomes.set(id, { outcome: index % 2 === 0 ? "failed" : "cut", status: 500, code: codes[index] ?? "" });
      }
      for (const [what, value, pick] of steps) {
        const entry = playback.queue.entries.at(pick)?.entry ?? 77;
        const track = driver.tracks.at(-1 - pick) ?? { load: 999, url: "http://proxy/z" };
        const acts: (() => unknown)[] = [
          () => playback.play(),
          () => playback.pause(),
          () => playback.toggle(),
          () => playback.stop(),
          () => playback.next(),
          () => playback.previous(),
          () => playback.jump(entry),
          () => playback.seek(value * 1000),
          () => playback.seekBy(value),
          () => playback.setVolume(value),
          () => playback.setShuffle(pick % 2 === 0),
          () => playback.setRepeat(REPEATS[pick % 3] ?? "off"),
          () => playback.setNormalize(pick % 2 === 0),
          () => playback.add(tracks("x", "y")),
          () => playback.playNext(tracks("z")),
          () => playback.insert(value, tracks("w")),
          () => playback.remove([entry]),
          () => playback.move(entry, value),
          () => pick === 0 && playback.clear(),
          () => driver.begin(track),
          () => driver.begin(),
          () => driver.at(Math.max(0, Math.min(value, 1e6) || 0), track),
          () => driver.end(200_000, track),
          () => driver.tracks.length > 0 && driver.end(),
          () => driver.end(100, track),
          () => driver.fail(track),
          () => driver.emit({ type: "restarting" }),
          () => driver.emit({ type: "settled", load: track.load }),
          () => driver.emit({ type: "ended", load: track.load, reason: "silent", positionMs: 1 }),
          () => driver.emit({ type: "broken", message: "gone" }),
        ];
        if (what < 20 || driver.tracks.length > 0) acts[what]?.();
        await clock.advance(pick * 100);
        const { state } = playback;
        expect(state.index).toBe(playback.queue.position);
        expect(state.positionMs).toBeGreaterThanOrEqual(0);
        if (state.status === "playing" || state.status === "paused") {
          const id = playback.queue.current?.id;
          expect(nameOf(driver.loaded)).toBe(id);
          if (driver.next !== undefined) expect(nameOf(driver.next)).toBe(playback.queue.after?.id);
        }
      }
    }),
    { numRuns: 300 },
  );
});
