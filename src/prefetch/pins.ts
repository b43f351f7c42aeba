import { LineLog, type LogState } from "../cache/line-log.ts";
import { trackKey } from "../cache/track-index.ts";
import type { TrackKey } from "../data-source/data-source.ts";

/** Lines of the log beyond twice its pins, before it is written anew. */
const SLACK = 1000;

/**
 * The tracks that are to be kept offline, in the order in which they were pinned, on disk in `pins.log`. A pin holds for a
 * track before anything of it is stored, and whichever of its variants is current.
 */
export class Pins implements LogState {
  readonly #log: LineLog;
  readonly #pins = new Map<string, TrackKey>();

  constructor(path: string) {
    this.#log = new LineLog(path, this, SLACK);
  }

  get lineCount(): number {
    return this.#pins.size;
  }

  *lines(): Generator<string> {
    for (const key of this.#pins.values()) yield lineOf("+", key);
  }

  async load(): Promise<void> {
    await this.#log.load((text) => {
      const line = text.toString();
      const key = parseKey(line.slice(1));
      if (key === undefined) return;
      if (line.startsWith("+")) this.#pins.set(trackKey(key), key);
      else if (line.startsWith("-")) this.#pins.delete(trackKey(key));
    });
  }

  has(key: TrackKey): boolean {
    return this.#pins.has(trackKey(key));
  }

  all(): IterableIterator<TrackKey> {
    return this.#pins.values();
  }

  /** Settles when the pin would survive the end of the process. */
  async add({ source, id }: TrackKey): Promise<void> {
    const key = { source, id };
    if (this.has(key)) return;
    this.#pins.set(trackKey(key), key);
    this.#log.append(lineOf("+", key));
    await this.#log.flush();
  }

  /** True if it was pinned. */
  async remove(key: TrackKey): Promise<boolean> {
    if (!this.#pins.delete(trackKey(key))) return false;
    this.#log.append(lineOf("-", key));
    await this.#log.flush();
    return true;
  }

  async clear(): Promise<void> {
    for (const key of this.#pins.values()) this.#log.append(lineOf("-", key));
    this.#pins.clear();
    await this.#log.flush();
  }
}

function lineOf(sign: "+" | "-", { source, id }: TrackKey): string {
  return `${sign}${JSON.stringify([source, id])}`;
}

/** Undefined for what is no key: the file may have been written by anyone. */
function parseKey(text: string): TrackKey | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return undefined;
    const [source, id] = value as unknown[];
    return typeof source === "string" && typeof id === "string" ? { source, id } : undefined;
  } catch {
    return undefined;
  }
}
