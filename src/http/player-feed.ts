import type { Clock } from "../data-source/clock.ts";
import type { Catalogue } from "./catalogue.ts";
import type { PlayerApi, QueuedTrack } from "./player-api.ts";
import { trackKey } from "./track-path.ts";

/** What comes faster is told together, ms. */
const SOON_MS = 50;
/** While nothing but the time goes on, it is told this often, ms. */
const POSITION_EVERY_MS = 1000;
/** A position that is so far from where it was goes on somewhere else, ms. */
const JUMP_MS = 2000;
/** Tracks behind the current one that are looked up before they play. */
const AHEAD = 3;

export interface PlayerFeedOptions {
  readonly api: PlayerApi;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  /** Tells those who listen, if any do. */
  readonly publish: (state: object) => void;
  readonly isListening: () => boolean;
}

/** Tells of a player whenever something about it changes, and of its position once a second. */
export class PlayerFeed {
  readonly #options: PlayerFeedOptions;
  readonly #unlisten: () => void;
  #queue: readonly QueuedTrack[] = [];
  #queueVersion = 0;
  /** The tracks that were looked up last. */
  #near = "";
  #told = { what: "", positionMs: 0, at: Number.NEGATIVE_INFINITY };
  #timer: { readonly at: number; readonly cancel: () => void } | undefined;

  constructor(options: PlayerFeedOptions) {
    this.#options = options;
    this.#unlisten = options.api.listen(() => this.#look());
    this.#look();
  }

  /** The player as the API shows it, but for its queue. */
  get state(): object {
    const { api, catalogue } = this.#options;
    const { queue, status } = api;
    if (queue !== this.#queue) {
      this.#queue = queue;
      this.#queueVersion += 1;
    }
    const current = queue[status.index];
    const track =
      current === undefined
        ? undefined
        : { ...current, key: trackKey(current.source, current.id), ...catalogue.facts(current) };
    return { ...status, ...(track && { track }), queueLength: queue.length, queueVersion: this.#queueVersion };
  }

  close(): void {
    this.#unlisten();
    this.#timer?.cancel();
  }

  #look(): void {
    this.#lookUp();
    if (!this.#options.isListening()) return;
    const { what, positionMs, at } = this.#told;
    const now = this.#now();
    const moved = Math.abs(now.positionMs - positionMs) >= JUMP_MS;
    if (now.what !== what || moved) this.#tellAt(this.#options.clock.now() + SOON_MS);
    else if (now.positionMs !== positionMs) this.#tellAt(at + POSITION_EVERY_MS);
  }

  /** Learns what the current track and those behind it are called, and tells of it once it is known. */
  #lookUp(): void {
    const { api, catalogue } = this.#options;
    const { index } = api.status;
    const near = api.queue.slice(Math.max(0, index), Math.max(0, index) + 1 + AHEAD);
    const names = near.map(({ source, id }) => trackKey(source, id)).join(" ");
    if (names === this.#near) return;
    this.#near = names;
    // A source that cannot list its tracks just now leaves them without names.
    catalogue.learn(near).then(
      () => this.#look(),
      () => {},
    );
  }

  #tellAt(at: number): void {
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const { clock } = this.#options;
    const cancel = clock.after(Math.max(0, at - clock.now()), () => {
      this.#timer = undefined;
      this.#told = { ...this.#now(), at: clock.now() };
      this.#options.publish(this.state);
    });
    this.#timer = { at, cancel };
  }

  #now(): { readonly what: string; readonly positionMs: number } {
    const { state } = this;
    const { positionMs } = this.#options.api.status;
    return { what: JSON.stringify({ ...state, positionMs: 0 }), positionMs };
  }
}
