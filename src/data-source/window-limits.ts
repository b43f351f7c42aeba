import { LRUCache } from "lru-cache";
import { getDomain } from "tldts";
import type { Clock } from "./clock.ts";
import { KiB, MiB } from "./data-source.ts";

/** No window is made smaller than this, in bytes. */
export const WINDOW_FLOOR = 64 * KiB;
export const DEFAULT_MAX_WINDOW = 8 * MiB;

const FORGET_MS = 30 * 60_000;
const CONFIRMATIONS = 2;

interface Lesson {
  confirmations: number;
  /** Largest window that was accepted where a larger one was refused, bytes. */
  accepted: number;
  unnamed: boolean;
  at: number;
}

/**
 * What was learned of upstreams by (source, registrable domain), and forgotten after 30 minutes: the largest window that
 * they accept, and whether their answers carry nothing that names the bytes.
 */
export class WindowLimits {
  readonly #clock: Clock;
  readonly #lessons = new LRUCache<string, Lesson>({ max: 1000 });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The learned limit in bytes, or undefined. */
  limit(source: string, url: string): number | undefined {
    const lesson = this.#recall(source, url);
    return lesson !== undefined && lesson.confirmations >= CONFIRMATIONS ? lesson.accepted : undefined;
  }

  /** One URL refused a window of `refused` bytes and accepted one of `accepted`. */
  confirm(source: string, url: string, accepted: number, refused: number): void {
    const lesson = this.#learn(source, url);
    // What was accepted before and is smaller than what is refused now still holds.
    lesson.accepted = lesson.accepted < refused ? Math.max(lesson.accepted, accepted) : accepted;
    lesson.confirmations += 1;
  }

  /** The same URL accepted a window of `bytes` after all: nothing smaller is the limit. */
  accepted(source: string, url: string, bytes: number): void {
    const lesson = this.#recall(source, url);
    if (lesson !== undefined && lesson.confirmations > 0) lesson.accepted = Math.max(lesson.accepted, bytes);
  }

  isUnnamed(source: string, url: string): boolean {
    return this.#recall(source, url)?.unnamed ?? false;
  }

  markUnnamed(source: string, url: string): void {
    this.#learn(source, url).unnamed = true;
  }

  #learn(source: string, url: string): Lesson {
    const known = this.#recall(source, url);
    if (known !== undefined) {
      known.at = this.#clock.now();
      return known;
    }
    const lesson = { confirmations: 0, accepted: 0, unnamed: false, at: this.#clock.now() };
    this.#lessons.set(key(source, url), lesson);
    return lesson;
  }

  #recall(source: string, url: string): Lesson | undefined {
    const lesson = this.#lessons.get(key(source, url));
    return lesson !== undefined && this.#clock.now() - lesson.at < FORGET_MS ? lesson : undefined;
  }
}

function key(source: string, url: string): string {
  const { hostname, host } = new URL(url);
  return `${source}\n${getDomain(hostname) ?? host}`;
}
