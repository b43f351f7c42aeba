import { type Clock, systemClock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { trackKey } from "../http/track-path.ts";
import type { Playback } from "./playback.ts";

export interface AutoQueueOptions {
  /** What to play after a track, the most alike first. Rejects where its source does not know, or not just now. */
  readonly similar: (track: TrackKey, signal: AbortSignal) => Promise<readonly TrackKey[]>;
  /** Whether the listener wants it from the start. Default false. */
  readonly enabled?: boolean;
  readonly clock?: Clock;
}

/** With fewer tracks to come, more are looked for. */
const AHEAD = 2;
/** Tracks that are added at once: what comes after them is looked for by the last of them. */
const ADDED = 10;
/** A track of which nothing could be learnt is asked about again after this, ms. */
const RETRY_MS = 60_000;

/**
 * Music that goes on: when the queue of a playback nears its end, and nothing repeats, what is similar to its last track is
 * added, else what is similar to the current one; nothing that is in the queue already. While nothing plays, or playback
 * waits for its source, nobody is asked. Off until `enabled`.
 */
export class AutoQueue {
  readonly #playback: Playback;
  readonly #similar: AutoQueueOptions["similar"];
  readonly #clock: Clock;
  readonly #unlisten: () => void;
  /** When a track may be asked about again, monotonic ms. */
  readonly #notBefore = new Map<string, number>();
  #enabled: boolean;
  #asking: AbortController | undefined;

  constructor(playback: Playback, { similar, enabled = false, clock = systemClock }: AutoQueueOptions) {
    this.#playback = playback;
    this.#similar = similar;
    this.#enabled = enabled;
    this.#clock = clock;
    this.#unlisten = playback.listen(({ type }) => {
      if (type === "state") this.#update();
    });
    this.#update();
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled;
    if (!enabled) this.#asking?.abort();
    this.#update();
  }

  /** Adds nothing from then on. */
  close(): void {
    this.#unlisten();
    this.enabled = false;
  }

  #update(): void {
    if (!this.#enabled || this.#asking !== undefined || !this.#isNearEnd()) return;
    const { current, entries } = this.#playback.queue;
    const now = this.#clock.now();
    const seed = [entries.at(-1), current].find(
      (track) => track !== undefined && (this.#notBefore.get(nameOf(track)) ?? now) <= now,
    );
    if (seed !== undefined) void this.#ask(seed);
  }

  #isNearEnd(): boolean {
    const { state, queue } = this.#playback;
    const { status, repeat } = state;
    const isActive = status === "playing" || status === "paused" || status === "loading";
    return isActive && repeat === "off" && queue.upcoming(AHEAD).length < AHEAD;
  }

  async #ask({ source, id }: TrackKey): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    const name = nameOf({ source, id });
    const found = await this.#newsOf({ source, id }, asking.signal);
    this.#asking = undefined;
    if (asking.signal.aborted) return this.#update();
    this.#rest(name);
    const { status, error } = this.#playback.state;
    if (status === "stopped" || found.length === 0) return this.#update();
    this.#playback.add(found);
    // It came to its end meanwhile.
    if (status === "ended" && error === undefined) this.#playback.play();
  }

  /** What is similar and not in the queue; nothing where that cannot be learnt. */
  async #newsOf(track: TrackKey, signal: AbortSignal): Promise<readonly TrackKey[]> {
    try {
      const similar = await this.#similar(track, signal);
      const known = new Set(this.#playback.queue.entries.map(nameOf));
      const isNew = (each: TrackKey): boolean => !known.has(nameOf(each)) && known.add(nameOf(each)).size > 0;
      return similar
        .filter(isNew)
        .slice(0, ADDED)
        .map(({ source, id }) => ({ source, id }));
    } catch {
      return [];
    }
  }

  /** Another track may be asked about at once. */
  #rest(name: string): void {
    const now = this.#clock.now();
    for (const [other, until] of this.#notBefore) if (until <= now) this.#notBefore.delete(other);
    this.#notBefore.set(name, now + RETRY_MS);
  }
}

function nameOf({ source, id }: TrackKey): string {
  return trackKey(source, id);
}
