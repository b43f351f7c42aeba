import { LRUCache } from "lru-cache";
import type { TrackKey } from "../../data-source/data-source.ts";
import { trackKey } from "../../http/track-path.ts";
import type { Track } from "../control/answers.ts";

/** What is known of a track, for whoever shows it. */
export type Known = Partial<Omit<Track, "source" | "id" | "key">>;

/** Tracks of which something is kept. */
const KEPT = 20_000;
/** Questions at once. */
const AT_ONCE = 4;
const NOTHING: Known = {};

/** Answers what the owner knows of a track; undefined: it knows of none. Rejects if it cannot be asked. */
export type AskTrack = (key: string) => Promise<Track | undefined>;

/** What is known of tracks: asked for once each, in turn, and again where something is said to have changed. */
export class TrackBook {
  readonly #ask: AskTrack;
  readonly #onChange: () => void;
  readonly #known = new LRUCache<string, { readonly known: Known; readonly edition: number }>({ max: KEPT });
  /** Counts how often all may have become different. */
  #edition = 0;
  readonly #asking = new Map<string, Promise<void>>();
  /** The last wish comes first: it is what is looked at. */
  #wanted: string[] = [];

  constructor(ask: AskTrack, onChange: () => void) {
    this.#ask = ask;
    this.#onChange = onChange;
  }

  /** What is known at once; more is asked for. */
  get({ source, id }: TrackKey): Known {
    const key = trackKey(source, id);
    const entry = this.#known.get(key);
    if (entry?.edition !== this.#edition) this.#want(key);
    return entry?.known ?? NOTHING;
  }

  /** What is known at once, and no more. */
  peek({ source, id }: TrackKey): Known {
    return this.#known.get(trackKey(source, id))?.known ?? NOTHING;
  }

  /** Asks for a track, and waits for the answer. Never rejects. */
  async learn({ source, id }: TrackKey): Promise<void> {
    await this.refresh(trackKey(source, id));
  }

  /** Asks again, also if the answer to an earlier question is on its way. Never rejects. */
  async refresh(key: string): Promise<void> {
    await this.#asking.get(key);
    await this.#begin(key);
  }

  /** What a listing says of tracks. */
  note(tracks: Iterable<Track>): void {
    for (const track of tracks) this.#set(track.key, track);
    this.#onChange();
  }

  /** What an event says of a track that is known. */
  merge(key: string, news: Known): void {
    const entry = this.#known.get(key);
    if (entry === undefined) return;
    this.#known.set(key, { ...entry, known: { ...entry.known, ...news } });
    this.#onChange();
  }

  /** All may be different by now: each track is asked for again when it is looked at. */
  doubt(): void {
    this.#edition += 1;
    this.#onChange();
  }

  #set(key: string, known: Known): void {
    this.#known.set(key, { known, edition: this.#edition });
  }

  #want(key: string): void {
    if (this.#asking.has(key)) return;
    this.#wanted = [...this.#wanted.filter((other) => other !== key), key].slice(-100);
    this.#next();
  }

  #next(): void {
    while (this.#asking.size < AT_ONCE) {
      const key = this.#wanted.pop();
      if (key === undefined) return;
      void this.#begin(key);
    }
  }

  #begin(key: string): Promise<void> {
    const running = this.#asking.get(key);
    if (running !== undefined) return running;
    const asked = this.#ask(key)
      .then((track) => {
        this.#set(key, track ?? NOTHING);
        this.#onChange();
      })
      // Asked again when it is looked at the next time.
      .catch(() => {})
      .finally(() => {
        this.#asking.delete(key);
        this.#next();
      });
    this.#asking.set(key, asked);
    return asked;
  }
}
