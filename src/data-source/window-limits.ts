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
  /** Of the last confirmation, monotonic ms. */
  at: number;
}

/**
 * What was learned of upstreams by (source, registrable domain), and forgotten after 30 minutes: the largest window that
 * they accept, and whether their answers carry nothing that names the bytes.
 */
export class WindowLimits {
  readonly #clock: Clock;
  readonly #lessons = new LRUCache<string, Lesson>({ max: 1000 });
  /** When answers were last found to carry no name, monotonic ms. */
  readonly #unnamed = new LRUCache<string, number>({ max: 1000 });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The learned limit in bytes, or undefined. */
  limit(source: string, url: string): number | undefined {
    const lesson = this.#recall(key(source, url));
    if (lesson === undefined || lesson.confirmations < CONFIRMATIONS) return undefined;
    return Math.max(WINDOW_FLOOR, lesson.accepted);
  }

  /** One URL refused a window of `refused` bytes and accepted one of `accepted`. */
  confirm(source: string, url: string, accepted: number, refused: number): void {
    const name = key(source, url);
    const lesson = this.#recall(name) ?? { confirmations: 0, accepted: 0, at: 0 };
    // What was accepted before and is smaller than what is refused now still holds.
    lesson.accepted = lesson.accepted < refused ? Math.max(lesson.accepted, accepted) : accepted;
    lesson.confirmations += 1;
    lesson.at = this.#clock.now();
    this.#lessons.set(name, lesson);
  }

  /** A confirmation turned out to be none: the URL went on to refuse windows of the size that it had accepted. */
  withdraw(source: string, url: string): void {
    const lesson = this.#recall(key(source, url));
    if (lesson !== undefined) lesson.confirmations = Math.max(0, lesson.confirmations - 1);
  }

  /** The same URL accepted a window of `bytes` after all: nothing smaller is the limit. */
  accepted(source: string, url: string, bytes: number): void {
    const lesson = this.#recall(key(source, url));
    if (lesson !== undefined) lesson.accepted = Math.max(lesson.accepted, bytes);
  }

  isUnnamed(source: string, url: string): boolean {
    const at = this.#unnamed.get(key(source, url));
    return at !== undefined && this.#clock.now() - at < FORGET_MS;
  }

  markUnnamed(source: string, url: string): void {
    this.#unnamed.set(key(source, url), this.#clock.now());
  }

  #recall(name: string): Lesson | undefined {
    const lesson = this.#lessons.get(name);
    return lesson !== undefined && this.#clock.now() - lesson.at < FORGET_MS ? lesson : undefined;
  }
}

function key(source: string, url: string): string {
  const { hostname, host } = new URL(url);
  return `${source}\n${getDomain(hostname) ?? host}`;
}
