import { LRUCache } from "lru-cache";
import { AfterbayError } from "../../errors.ts";
import type { Answer } from "./answer.ts";
import type { Client } from "./clients.ts";

const MAX_TRACKS = 500;
/** An answer serves another quality of the same track, or the search for a variant, this long. */
const ANSWER_MS = 60_000;
/** A client whose URL was refused for a track is asked last for it this long. */
const DEMERIT_MS = 600_000;

/** What was last handed out for a track. */
export interface Served {
  readonly client: string;
  /** Of the player script that made the URL. */
  readonly generation?: number;
}

/** What happened lately with one track. */
export class TrackMemory {
  /** By quality: each has its own bytes. */
  readonly served = new Map<string, Served>();
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly answer: Answer; readonly at: number }>();
  readonly #demerits = new Map<string, { readonly count: number; readonly at: number }>();
  #blocked: { readonly error: AfterbayError; readonly until: number } | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** What YouTube said, while it still asks to be left alone; with what is left of the wait. */
  get blocked(): AfterbayError | undefined {
    if (this.#blocked === undefined) return undefined;
    const { error, until } = this.#blocked;
    const retryAfterMs = until - this.#now();
    return retryAfterMs > 0 ? new AfterbayError(error.code, error.message, { retryAfterMs }) : undefined;
  }

  block(error: AfterbayError): void {
    this.#blocked = { error, until: this.#now() + (error.retryAfterMs ?? 0) };
  }

  answerOf(client: string): Answer | undefined {
    const kept = this.#answers.get(client);
    if (kept === undefined || this.#now() - kept.at >= ANSWER_MS) return undefined;
    // URLs that are about to end are of no use to whoever begins with them.
    const ends = Math.min(...kept.answer.formats.map(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt));
    return ends - Date.now() > ANSWER_MS ? kept.answer : undefined;
  }

  keep(client: string, answer: Answer): void {
    this.#answers.set(client, { answer, at: this.#now() });
  }

  /** URLs are to be had anew, from everyone. */
  forgetAnswers(): void {
    this.#answers.clear();
  }

  /** The client's URL was refused, or it could not be asked. */
  blame(client: string): void {
    this.#answers.delete(client);
    this.#demerits.set(client, { count: this.demeritsOf(client) + 1, at: this.#now() });
  }

  demeritsOf(client: string): number {
    const found = this.#demerits.get(client);
    return found !== undefined && this.#now() - found.at < DEMERIT_MS ? found.count : 0;
  }

  /** The clients in the order to ask them: as configured, begun one later with each attempt, the unlucky ones last. */
  order(clients: readonly Client[], attempt: number): readonly Client[] {
    const first = (attempt - 1) % clients.length;
    const turned = [...clients.slice(first), ...clients.slice(0, first)];
    return turned.toSorted((a, b) => this.demeritsOf(a.name) - this.demeritsOf(b.name));
  }
}

/** The memories of the tracks that were asked for last. */
export class TrackMemories {
  readonly #now: () => number;
  readonly #tracks = new LRUCache<string, TrackMemory>({ max: MAX_TRACKS });

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  of(videoId: string): TrackMemory {
    const known = this.#tracks.get(videoId);
    if (known !== undefined) return known;
    const made = new TrackMemory(this.#now);
    this.#tracks.set(videoId, made);
    return made;
  }
}
