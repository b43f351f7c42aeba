import type { Clock } from "../data-source/clock.ts";
import { ChunkRuns, type ChunkRun } from "./chunk-runs.ts";
import type { EventStream } from "./event-stream.ts";

/** What became of a track, by its key. */
interface TrackNews {
  readonly key: string;
  readonly change: string;
}

/** Often enough for the eye; what comes faster is told together, ms. */
const INTERVAL_MS = 50;

/**
 * Feeds an event stream. Chunks and changes of tracks come by the thousand while a track is fetched from nearby: of each
 * track, one of either is sent every 50 ms.
 */
export class EventFeed {
  readonly #stream: EventStream;
  readonly #clock: Clock;
  readonly #describe: (key: string) => object;
  readonly #chunks = new ChunkRuns();
  readonly #tracks = new Map<string, Set<string>>();
  #cancel: (() => void) | undefined;

  /** `describe` answers what is stored of a track, to be sent with its news. */
  constructor(stream: EventStream, clock: Clock, describe: (key: string) => object) {
    this.#stream = stream;
    this.#clock = clock;
    this.#describe = describe;
  }

  chunk({ key, from, index }: { readonly key: string } & Omit<ChunkRun, "count">): void {
    if (!this.#stream.isListening) return;
    this.#chunks.add(key, from, index);
    this.#schedule();
  }

  track({ key, change }: TrackNews): void {
    if (!this.#stream.isListening) return;
    const changes = this.#tracks.get(key) ?? new Set();
    this.#tracks.set(key, changes.add(change));
    this.#schedule();
  }

  /** Sends an event at once. */
  tell(name: "session" | "evict" | "prefetch" | "player", data: object): void {
    this.#stream.publish(name, data);
  }

  close(): void {
    this.#cancel?.();
    this.#stream.close();
  }

  #schedule(): void {
    this.#cancel ??= this.#clock.after(INTERVAL_MS, () => {
      this.#cancel = undefined;
      this.#flush();
    });
  }

  #flush(): void {
    for (const run of this.#chunks.take()) this.#stream.publish("chunk", run);
    for (const [key, changes] of this.#tracks) {
      const [change] = changes;
      changes.delete(change ?? "");
      if (changes.size === 0) this.#tracks.delete(key);
      this.#stream.publish("track", { key, change, ...this.#describe(key) });
    }
    if (this.#chunks.size > 0 || this.#tracks.size > 0) this.#schedule();
  }
}
