import type { TrackKey } from "../data-source/data-source.ts";
import { AfterbayError } from "../errors.ts";
import { parseIds } from "../http/id-list.ts";
import type { PlayerApi, PlayerStatus } from "../http/player-api.ts";
import type { Playback } from "./playback.ts";
import type { PlaybackState } from "./playback-state.ts";
import { MAX_ENTRIES, REPEATS } from "./queue.ts";

type Body = Readonly<Record<string, unknown>>;
type Verb = (playback: Playback, body: Body, defaultSource: string, auto: Auto) => void | Promise<void>;

/** What adds similar tracks, if anything does. */
type Auto = { enabled: boolean } | undefined;

/** What `POST /api/player/{verb}` does. */
const VERBS: ReadonlyMap<string, Verb> = new Map<string, Verb>([
  ["play", play],
  ["pause", (playback) => playback.pause()],
  ["toggle", (playback) => playback.toggle()],
  ["stop", (playback) => playback.stop()],
  ["next", (playback) => playback.next()],
  ["previous", (playback) => playback.previous()],
  ["seek", seek],
  ["queue", queue],
  ["remove", (playback, body) => playback.remove(entriesOf(playback, body["entries"]))],
  ["move", move],
  ["clear", (playback) => playback.clear()],
  ["shuffle", (playback, body) => playback.setShuffle(flag(body, "shuffle"))],
  ["repeat", repeat],
  ["volume", (playback, body) => playback.setVolume(number(body, "volume"))],
  ["normalize", (playback, body) => playback.setNormalize(flag(body, "normalize"))],
  ["auto", setAuto],
]);

/** Lets a playback be steered over HTTP: what `proxy.attachPlayer` takes. */
export function remoteControl(playback: Playback, auto?: Auto): PlayerApi {
  return {
    get status() {
      return statusOf(playback.state, auto?.enabled ?? false);
    },
    get queue() {
      return playback.state.queue;
    },
    async command(name, body, defaultSource) {
      const verb = VERBS.get(name);
      if (verb === undefined) throw new AfterbayError("not-found", "A player has no such verb");
      await verb(playback, body, defaultSource, auto);
    },
    listen: (listener) => playback.listen(() => listener()),
  };
}

function setAuto(_playback: Playback, body: Body, _defaultSource: string, auto: Auto): void {
  const enabled = flag(body, "auto");
  if (auto === undefined) throw new AfterbayError("not-found", "This player adds no similar tracks");
  auto.enabled = enabled;
}

function statusOf(state: PlaybackState, auto: boolean): PlayerStatus {
  const { status, index, positionMs, durationMs, paused, loading, volume, shuffle, repeat: mode } = state;
  const { normalize, waiting, error } = state;
  return {
    status,
    index,
    positionMs: Math.round(positionMs),
    ...(durationMs === undefined ? {} : { durationMs: Math.round(durationMs) }),
    paused,
    loading,
    volume,
    shuffle,
    repeat: mode,
    normalize,
    auto,
    ...(waiting && {
      waiting: { code: waiting.code, message: waiting.message, retryAt: new Date(waiting.retryAt).toISOString() },
    }),
    ...(error && { error }),
  };
}

/** Goes on; with `entry`, plays that one; with `ids`, plays these in place of all that was in the queue. */
async function play(playback: Playback, { entry, ids }: Body, defaultSource: string): Promise<void> {
  if (ids !== undefined && entry !== undefined) throw badRequest("Either entry or ids");
  if (ids !== undefined) {
    const tracks = await parseIds(ids, defaultSource);
    playback.clear();
    playback.add(tracks);
    playback.play();
  } else if (entry === undefined) playback.play();
  else playback.jump(entryOf(playback, entry));
}

function seek(playback: Playback, body: Body): void {
  const { positionMs, byMs } = body;
  if ((positionMs === undefined) === (byMs === undefined)) throw badRequest("Either positionMs or byMs");
  if (byMs === undefined) playback.seek(number(body, "positionMs"));
  else playback.seekBy(number(body, "byMs"));
}

/** Puts tracks into the queue: at its end, behind the current one (`next`), or before the one at an index. */
async function queue(playback: Playback, { ids, at = "end" }: Body, defaultSource: string): Promise<void> {
  if (at !== "end" && at !== "next" && !isIndex(at)) throw badRequest("at is end, next or an index");
  const tracks: readonly TrackKey[] = await parseIds(ids, defaultSource);
  if (playback.state.queue.length + tracks.length > MAX_ENTRIES) {
    throw badRequest(`A queue holds at most ${MAX_ENTRIES} entries`);
  }
  if (at === "end") playback.add(tracks);
  else if (at === "next") playback.playNext(tracks);
  else playback.insert(at, tracks);
}

function move(playback: Playback, { entry, to }: Body): void {
  if (!isIndex(to)) throw badRequest("to is an index");
  playback.move(entryOf(playback, entry), to);
}

function repeat(playback: Playback, body: Body): void {
  const mode = REPEATS.find((one) => one === body["repeat"]);
  if (mode === undefined) throw badRequest(`repeat is ${REPEATS.join(", ")}`);
  playback.setRepeat(mode);
}

function entryOf(playback: Playback, entry: unknown): number {
  const [found = 0] = entriesOf(playback, [entry]);
  return found;
}

/** Entries that are in the queue; several lists are held against it at once. */
function entriesOf(playback: Playback, entries: unknown): readonly number[] {
  if (!Array.isArray(entries) || !entries.every((one) => typeof one === "number")) {
    throw badRequest("Entries are the numbers that the queue gives its tracks");
  }
  const known = new Set(playback.state.queue.map(({ entry }) => entry));
  if (!entries.every((one) => known.has(one))) {
    throw new AfterbayError("not-found", "There is no such entry in the queue");
  }
  return entries;
}

function number(body: Body, name: string): number {
  const value = body[name];
  if (typeof value !== "number") throw badRequest(`${name} is a number`);
  return value;
}

function flag(body: Body, name: string): boolean {
  const value = body[name];
  if (typeof value !== "boolean") throw badRequest(`${name} is true or false`);
  return value;
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function badRequest(message: string): AfterbayError {
  return new AfterbayError("bad-request", message);
}
