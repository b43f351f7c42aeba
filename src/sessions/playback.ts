import { Priority, type TrackKey } from "../data-source/data-source.ts";
import type { Need } from "../data-source/need.ts";
import type { TraceEvent } from "../data-source/trace.ts";
import { Ends } from "./ends.ts";
import type { RequestLog, SeenVariant, ServedBytes } from "./request-log.ts";

/** The player, as far as it says who it is. */
export interface Client {
  readonly address: string;
  /** As it came: not fit to be shown. */
  readonly agent: string;
}

/** What happened to a playback: what was done upstream for it, and what it met. Times are monotonic ms. */
export type PlaybackEvent = TraceEvent | JoinEvent | VariantEvent;

/** Its bytes were on their way already. */
export interface JoinEvent {
  readonly at: number;
  readonly event: "join";
  /** For whom: another playback, a prefetch, or a playback that has left. */
  readonly of: "playback" | "prefetch" | "leftover";
}

/** It went on with another variant than before. */
export interface VariantEvent {
  readonly at: number;
  readonly event: "variant";
  readonly from: string;
  readonly to: string;
}

/** How often something happened, also where its event was left out. */
export interface Counts {
  resolves: number;
  windows: number;
  retries: number;
  refreshes: number;
  joins: number;
}

/** Requests that are kept: the first, and the last. */
const REQUESTS = [8, 24] as const;
/** Events that are kept likewise. */
const EVENTS = [32, 64] as const;
/** Needs of one request that are watched: a reading that seldom is at one for long needs no more. */
const FOLLOWED = 4;

/** A playback: the requests of one player for one track, and what happened meanwhile, within bounds. */
export class Playback {
  readonly id: number;
  readonly track: TrackKey;
  readonly client: Client;
  /** What its player calls it. */
  readonly play: string | undefined;
  readonly beganAt: number;
  /** Epoch ms. */
  readonly beganWall: number;
  readonly requests = new Ends<RequestLog>(...REQUESTS);
  readonly events = new Ends<{ readonly request: number; readonly event: PlaybackEvent }>(...EVENTS);
  readonly counts: Counts = { resolves: 0, windows: 0, retries: 0, refreshes: 0, joins: 0 };
  /** Monotonic ms; undefined while a request is open. */
  endedAt: number | undefined;
  /** And the needs that each waits for, with what ends watching them. */
  readonly #open = new Map<RequestLog, Map<Need, () => void> | undefined>();
  /** Two requests may wait for one need. */
  #noted: WeakSet<PlaybackEvent> | undefined;
  readonly #served = { disk: 0, memory: 0, upstream: 0 };
  #last: SeenVariant | undefined;
  #lastQuality: string | undefined;

  constructor(about: Pick<Playback, "id" | "track" | "client" | "play" | "beganAt" | "beganWall">) {
    this.id = about.id;
    this.track = about.track;
    this.client = about.client;
    this.play = about.play;
    this.beganAt = about.beganAt;
    this.beganWall = about.beganWall;
  }

  /** What its player got so far. */
  get bytes(): ServedBytes {
    const sum = { ...this.#served };
    for (const { bytes } of this.#open.keys()) add(sum, bytes);
    return sum;
  }

  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  /** A request came. */
  begin(log: RequestLog): void {
    this.requests.push(log);
    this.#open.set(log, undefined);
    this.endedAt = undefined;
  }

  /** A request waits for what is fetched for `need`. */
  follow(log: RequestLog, need: Need, joined: Priority | undefined): void {
    if (!this.#open.has(log)) return;
    const followed = this.#open.get(log) ?? new Map<Need, () => void>();
    if (followed.has(need)) return;
    this.#open.set(log, followed);
    if (joined !== undefined) {
      this.counts.joins += 1;
      this.#note(log, { at: need.now(), event: "join", of: begunFor(joined) });
    }
    followed.set(
      need,
      need.watch((event) => this.#note(log, event)),
    );
    const [oldest] = followed;
    if (followed.size <= FOLLOWED || oldest === undefined) return;
    oldest[1]();
    followed.delete(oldest[0]);
  }

  see(log: RequestLog, variant: SeenVariant, at: number): void {
    const { quality } = log.asked;
    const before = this.#last;
    if (before !== undefined && before.name !== variant.name && this.#lastQuality === quality) {
      this.#note(log, { at, event: "variant", from: before.name, to: variant.name });
    }
    this.#last = variant;
    this.#lastQuality = quality;
  }

  /** A request is over. */
  end(log: RequestLog): void {
    for (const unwatch of this.#open.get(log)?.values() ?? []) unwatch();
    if (!this.#open.delete(log)) return;
    add(this.#served, log.bytes);
    if (this.#open.size === 0) this.endedAt = log.endedAt;
  }

  #note(log: RequestLog, event: PlaybackEvent): void {
    this.#noted ??= new WeakSet();
    if (this.#noted.has(event)) return;
    this.#noted.add(event);
    if (event.event === "resolve") this.counts.resolves += 1;
    else if (event.event === "window") this.counts.windows += 1;
    else if (event.event === "retry") this.counts.retries += 1;
    else if (event.event === "refresh") this.counts.refreshes += 1;
    this.events.push({ request: log.id, event });
  }
}

function begunFor(level: Priority): JoinEvent["of"] {
  if (level === Priority.playback) return "playback";
  return level === Priority.abandoned ? "leftover" : "prefetch";
}

function add(sum: { disk: number; memory: number; upstream: number }, bytes: ServedBytes): void {
  sum.disk += bytes.disk;
  sum.memory += bytes.memory;
  sum.upstream += bytes.upstream;
}
