import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseTrackKey, trackKey } from "../../http/track-path.ts";
import { ConfigError } from "../../errors.ts";
import { AutoQueue } from "../../player/auto-queue.ts";
import type { PlayerDriver } from "../../player/driver.ts";
import { LookAhead } from "../../player/look-ahead.ts";
import { startMpvDriver } from "../../player/mpv/mpv-driver.ts";
import { Playback, type Remembered } from "../../player/playback.ts";
import { PlaybackMemory } from "../../player/playback-memory.ts";
import type { Repeat } from "../../player/queue.ts";
import { Reachability } from "../../player/reachability.ts";
import { RemoteProxy } from "../../player/remote-proxy.ts";
import { track as trackShape, tracks as tracksShape } from "../control/answers.ts";
import { Problem } from "../control/client.ts";
import type { Complaints } from "../complaints.ts";
import type { Io } from "../io.ts";
import { keysInOrder } from "../named-tracks.ts";
import type { Owner } from "../owner.ts";
import type { OwnerSettings } from "../owner-settings.ts";
import { claim } from "./claim.ts";
import { playInLines } from "./lines.ts";
import { followEvents } from "./owner-events.ts";
import { startRelay } from "./relay.ts";
import { TrackBook } from "./track-book.ts";
import { catalogueFinder, queueFinder, sourceFinder } from "./tui/finders.ts";
import { Tui } from "./tui/app.ts";
import { Failure, UsageError } from "../problems.ts";

/** How long the first track's name and loudness are waited for before it plays, ms. */
const FACTS_MS = 500;

/** What the command line asks for. */
export interface Wishes {
  readonly shuffle: boolean;
  readonly repeat: Repeat | undefined;
  /** Similar tracks when the queue nears its end. */
  readonly auto: boolean;
  /** The whole screen, not lines. */
  readonly isScreen: boolean;
}

/** mpv, while it starts. */
export interface StartingMpv {
  /** Rejects with a Failure where mpv cannot be had. */
  readonly driver: Promise<PlayerDriver>;
  close(): Promise<void>;
}

/** Starts mpv. Whoever needs it waits for it then: to open the cache takes as long. */
export function startMpv(program: string): StartingMpv {
  const driver = startMpvDriver({ program }).catch((error: unknown) => {
    throw error instanceof ConfigError ? new Failure(error.message, { cause: error }) : error;
  });
  const close = (): Promise<void> =>
    driver.then(
      (started) => started.close(),
      () => {},
    );
  // Whether anyone comes to wait for it or not.
  driver.catch(() => {});
  return { driver, close };
}

export interface Context {
  readonly ids: readonly string[];
  readonly wishes: Wishes;
  /** Closed by whoever started it. */
  readonly mpv: StartingMpv;
  readonly io: Io;
  readonly stop: Promise<void>;
}

/**
 * Plays on this machine until the user leaves, the signals say so or, in lines, the queue is through. Ids that name nothing
 * are complaints. Rejects with a Failure or a UsageError of one line.
 */
export async function playWith(
  owner: Owner,
  settings: OwnerSettings,
  complaints: Complaints,
  { ids, wishes, mpv: starting, io, stop }: Context,
): Promise<void> {
  const { defaultSource } = owner;
  const { isScreen } = wishes;
  const keys = ids.length === 0 ? [] : await keysInOrder(owner, ids, settings, complaints);
  const tracks = keys.map((key) => {
    const { source = defaultSource, id } = parseTrackKey(key);
    return { source, id };
  });
  const ends: (() => void | Promise<void>)[] = [];
  try {
    const directory = join(settings.options.cacheDir, "player", "play");
    const release = await claim(directory).catch(() => undefined);
    if (release !== undefined) ends.push(release);
    // A second player beside the first begins with nothing, and leaves nothing.
    const memory = release === undefined ? undefined : await PlaybackMemory.open({ directory });
    if (ids.length === 0 && !isScreen && (memory?.remembered?.queue.entries.length ?? 0) === 0) {
      throw new UsageError("nothing to play: name a track, as in: afterbay play yaman");
    }

    const relay = await startRelay(owner);
    ends.push(() => relay.close());
    const remote = new RemoteProxy({
      url: relay.url,
      token: relay.token,
      list: `play-${process.pid}-${randomBytes(4).toString("hex")}`,
    });
    let onNews = (): void => {};
    const book = new TrackBook(
      (key) => askTrack(owner, key),
      () => onNews(),
    );
    const playback = new Playback({
      driver: await starting.driver,
      urlFor: remote.urlFor,
      outcomeOf: remote.outcomeOf,
      factsOf: (track) => book.get(track),
      remembered: ids.length === 0 ? memory?.remembered : withoutQueue(memory?.remembered),
    });
    const reachability = new Reachability();
    const ahead = new LookAhead(playback, { prefetch: remote.prefetch, isOffline: reachability.isOffline });
    const auto = new AutoQueue(playback, { similar: remote.similar, enabled: wishes.auto });
    ends.push(async () => {
      auto.close();
      await Promise.all([ahead.close(), playback.close()]);
    });
    memory?.follow(playback);
    // Before anything that can take its time: where it was is what counts.
    ends.push(() => memory?.close());
    const listening = new AbortController();
    ends.push(() => listening.abort());
    const onTrack = newsOf(book, playback);
    void followEvents(owner, listening.signal, (name, data) => {
      const { key, state, code } = data;
      if (name === "reset") {
        book.doubt();
        ahead.renew();
      } else if (name === "track" && typeof key === "string") onTrack(key, data);
      else if (name === "prefetch" && (state === "done" || state === "failed")) {
        reachability.note(typeof code === "string" ? code : undefined);
      }
    });

    if (wishes.shuffle || ids.length > 0) playback.setShuffle(wishes.shuffle);
    if (wishes.repeat !== undefined) playback.setRepeat(wishes.repeat);
    playback.add(tracks);
    let left = stop;
    if (isScreen) {
      const list = async () => (await owner.json({ method: "GET", path: "/api/tracks" }, tracksShape)).tracks;
      const search = async (words: string, signal: AbortSignal) => {
        const path = `/api/search?q=${encodeURIComponent(words)}&limit=50`;
        return (await owner.json({ method: "GET", path, signal }, tracksShape)).tracks;
      };
      const finders = [queueFinder(playback, book), catalogueFinder(list, book), sourceFinder(search, book)];
      const tui = new Tui({ io, playback, auto, book, finders, defaultSource });
      ends.push(() => tui.close());
      onNews = () => tui.update();
      left = Promise.race([tui.left, stop]);
    }
    const [first] = playback.state.queue.slice(Math.max(0, playback.state.index));
    if (first !== undefined) {
      await Promise.race([book.learn(first), delay(FACTS_MS), left]);
      playback.play();
    }
    if (isScreen) await left;
    else await playInLines({ io, playback, book, complaints, defaultSource, stop });
  } finally {
    // The last first: the terminal is given back before anything can take its time.
    for (const end of ends.toReversed()) await end();
  }
}

/** The volume of the last time, without what was played. */
function withoutQueue(remembered: Remembered | undefined): Remembered | undefined {
  return remembered && { ...remembered, queue: remembered.queue.clear().withRepeat("off"), positionMs: 0 };
}

async function askTrack(owner: Owner, key: string): Promise<ReturnType<typeof trackShape> | undefined> {
  try {
    return await owner.json({ method: "GET", path: `/api/tracks/${key}` }, trackShape);
  } catch (error) {
    if (error instanceof Problem && error.code === "not-found") return undefined;
    throw error;
  }
}

/** The map of what plays is asked for no more often than this, ms. */
const MAP_EVERY_MS = 250;

/** Takes over what events tell of tracks. */
function newsOf(book: TrackBook, playback: Playback): (key: string, data: Readonly<Record<string, unknown>>) => void {
  let timer: NodeJS.Timeout | undefined;
  return (key, { size, cachedBytes, complete }) => {
    const { current } = playback.queue;
    // Its map is to be seen.
    if (current !== undefined && key === trackKey(current.source, current.id)) {
      timer ??= setTimeout(() => {
        timer = undefined;
        void book.refresh(key);
      }, MAP_EVERY_MS);
      return;
    }
    book.merge(key, {
      ...(typeof size === "number" ? { size } : {}),
      ...(typeof cachedBytes === "number" ? { cachedBytes } : {}),
      ...(typeof complete === "boolean" ? { complete } : {}),
    });
  };
}
