import { setMaxListeners } from "node:events";
import { LRUCache } from "lru-cache";
import type { Dispatcher } from "undici";
import { abortable, linkedController } from "../data-source/aborting.ts";
import { type Clock, sleep } from "../data-source/clock.ts";
import { Priority, type TrackKey, Urgency } from "../data-source/data-source.ts";
import { imageType } from "../data-source/image-type.ts";
import type { Artwork, LocalFiles } from "../data-source/resolution.ts";
import type { Scheduler } from "../data-source/scheduler.ts";
import { Slots } from "../data-source/slots.ts";
import { isWholeAddress } from "../cache/track-meta.ts";
import type { TrackCache, TrackChange } from "../cache/track-cache.ts";
import { abortReason, AfterbayError, isAfterbayError } from "../errors.ts";
import { fetchImage } from "./fetch-image.ts";

export interface CoversOptions {
  readonly cache: Pick<TrackCache, "artwork" | "keepArtwork" | "find">;
  /** Its connector judges addresses. */
  readonly dispatcher: Dispatcher;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  /** Where the cover of a track is to be had, as far as that was kept. */
  readonly addressOf: (key: TrackKey) => Promise<string | undefined>;
  readonly localOf: (source: string) => LocalFiles | undefined;
  /** False: fetches only what is asked for. */
  readonly background: boolean;
}

/** Pictures fetched at once. */
const AT_ONCE = 2;
/** For the whole of a picture, ms. */
const LIMIT_MS = 15_000;
/** Someone looks at the list while a song begins: the picture waits for the music this long, ms, not for ever. */
const COURTESY_MS = 1000;
/** An address that gave no picture is tried again after this long, ms; one that failed, after the second. */
const NONE_MS = 600_000;
const FAILED_MS = 30_000;
const MAX_FAILURES = 1000;
/** Tracks of which is remembered where their source said that their covers are. */
const MAX_HEARD = 5000;
const MAX_ADDRESS = 4096;
/** Whether a whole track has its cover is looked at when it was played, after this long, ms. */
const AGAIN_MS = 60_000;
/** Tracks whose covers wait to be fetched. */
const MAX_QUEUED = 1000;
/** Requests for pictures are of no source: they take no track's place. */
const SCHEDULED_AS = "";

interface Failure {
  readonly address: string;
  readonly error: AfterbayError;
  readonly until: number;
}

/**
 * The covers of tracks: from the cache, else from where their sources say, kept with what is stored of the track. Those of
 * tracks that are whole are fetched without being asked for, so that they are there with no network.
 */
export class Covers {
  readonly #options: CoversOptions;
  readonly #slots = new Slots(AT_ONCE);
  readonly #running = new Map<string, Promise<Artwork>>();
  readonly #failures = new LRUCache<string, Failure>({ max: MAX_FAILURES });
  readonly #heard = new LRUCache<string, string>({ max: MAX_HEARD });
  /** When to look again whether a track lacks its cover, monotonic ms. */
  readonly #looked = new LRUCache<string, number>({ max: MAX_FAILURES });
  readonly #queue = new Map<string, TrackKey>();
  readonly #gone = new AbortController();
  #working: Promise<void> | undefined;

  constructor(options: CoversOptions) {
    this.#options = options;
    // One listener a cover that is waited for.
    setMaxListeners(0, this.#gone.signal);
  }

  /**
   * The cover of a track. Throws `not-found` where there is none, `not-cached` where it would have to be fetched and may not
   * (`offline`), `upstream-failed` where it could not be fetched, or the signal's reason.
   */
  async find(key: TrackKey, { offline, signal }: { offline: boolean; signal: AbortSignal }): Promise<Artwork> {
    const { localOf } = this.#options;
    const local = localOf(key.source);
    const known = await (local === undefined ? this.#kept(key) : local.artwork?.(key.id));
    if (known !== undefined) return known;
    const address = local === undefined ? await this.#addressOf(key) : undefined;
    if (address === undefined) throw none();
    if (offline) throw new AfterbayError("not-cached", "This track's cover is not in the cache");
    return await abortable(this.#fetchOnce(key, address), signal);
  }

  /** A source said where a track's cover is to be had: with what is not kept, such as a signature. */
  hear(key: TrackKey, address: string): void {
    if (address.length <= MAX_ADDRESS) this.#heard.set(nameOf(key), address);
  }

  /** A track that is whole gets its cover, too, when the music leaves time for it. */
  onTrackChanged(key: TrackKey, change: TrackChange): void {
    const name = nameOf(key);
    if (change === "lost" || change === "evicted") this.#looked.delete(name);
    if (change !== "complete" && change !== "idle") return;
    if (this.#options.clock.now() < (this.#looked.get(name) ?? 0)) return;
    if (!this.#options.background || this.#gone.signal.aborted || this.#queue.size >= MAX_QUEUED) return;
    this.#queue.set(name, key);
    this.#begin();
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#gone.abort(new AfterbayError("busy", "The proxy is closing"));
    await this.#working;
    await Promise.allSettled(this.#running.values());
  }

  async #addressOf(key: TrackKey): Promise<string | undefined> {
    const address = this.#heard.get(nameOf(key)) ?? (await this.#options.addressOf(key));
    return address !== undefined && isWholeAddress(address) ? address : undefined;
  }

  async #kept(key: TrackKey): Promise<Artwork | undefined> {
    const bytes = await this.#options.cache.artwork(key);
    const contentType = bytes === undefined ? undefined : imageType(bytes);
    return bytes === undefined || contentType === undefined ? undefined : { contentType, bytes };
  }

  #begin(): void {
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      // What came as the last one ended.
      if (this.#queue.size > 0 && !this.#gone.signal.aborted) this.#begin();
    });
  }

  async #work(): Promise<void> {
    for (const [name, key] of this.#queue) {
      this.#queue.delete(name);
      // What fails is tried again when the track is played the next time.
      await this.#complete(key).catch(() => {});
      if (this.#gone.signal.aborted) return;
    }
  }

  async #complete(key: TrackKey): Promise<void> {
    const { cache, clock } = this.#options;
    if (cache.find(key)?.complete !== true || this.#running.has(nameOf(key))) return;
    this.#looked.set(nameOf(key), clock.now() + AGAIN_MS);
    const address = await this.#addressOf(key);
    if (address === undefined || this.#failureOf(key, address) !== undefined) return;
    if ((await cache.artwork(key)) !== undefined) return;
    for (;;) {
      const { controller, unlink } = linkedController(this.#gone.signal);
      const giveWay = (): void => controller.abort(GAVE_WAY);
      const release = await this.#turn(Priority.background, giveWay, this.#gone.signal);
      try {
        // Whoever asks for it meanwhile fetches it himself: this one may stop at any time.
        await this.#fetch(key, address, controller.signal);
        return;
      } catch (error) {
        if (error !== GAVE_WAY) throw error;
      } finally {
        release();
        unlink();
      }
    }
  }

  #fetchOnce(key: TrackKey, address: string): Promise<Artwork> {
    const name = nameOf(key);
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const fetching = this.#fetchPolitely(key, address).finally(() => this.#running.delete(name));
    // Whoever waited for it may have left.
    fetching.catch(() => {});
    this.#running.set(name, fetching);
    return fetching;
  }

  async #fetchPolitely(key: TrackKey, address: string): Promise<Artwork> {
    const failure = this.#failureOf(key, address);
    if (failure !== undefined) throw failure;
    return await this.#slots.run(this.#gone.signal, async () => {
      const release = await this.#turnWithin(COURTESY_MS);
      try {
        // Another one may have come, and been kept, since it was looked for.
        return (await this.#kept(key)) ?? (await this.#fetch(key, address, this.#gone.signal));
      } finally {
        release();
      }
    });
  }

  async #fetch(key: TrackKey, address: string, signal: AbortSignal): Promise<Artwork> {
    const { dispatcher, clock, cache } = this.#options;
    const { controller, unlink } = linkedController(signal);
    const late = new AfterbayError("transient", "The cover did not come in time");
    const cancel = clock.after(LIMIT_MS, () => controller.abort(late));
    try {
      const found = await fetchImage(address, { dispatcher, signal: controller.signal });
      this.#failures.delete(nameOf(key));
      await cache.keepArtwork(key, found.bytes);
      return found;
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      throw this.#failed(key, address, error);
    } finally {
      cancel();
      unlink();
    }
  }

  #failed(key: TrackKey, address: string, error: unknown): unknown {
    const { clock } = this.#options;
    if (!isAfterbayError(error)) return error;
    const isNone = error.code === "not-found";
    const told = isNone
      ? none()
      : new AfterbayError("upstream-failed", "This track's cover cannot be fetched just now");
    const until = clock.now() + (isNone ? NONE_MS : FAILED_MS);
    this.#failures.set(nameOf(key), { address, error: told, until });
    return told;
  }

  #failureOf(key: TrackKey, address: string): AfterbayError | undefined {
    const failure = this.#failures.get(nameOf(key));
    const holds = failure?.address === address && this.#options.clock.now() < failure.until;
    return holds ? failure.error : undefined;
  }

  /** A place among the upstream requests; the returned function gives it back. */
  async #turn(level: Priority, giveWay: () => void, signal: AbortSignal): Promise<() => void> {
    const applicant = { source: SCHEDULED_AS, id: "", urgency: new Urgency(level), preempt: giveWay, giveWay };
    return await this.#options.scheduler.acquire(applicant, signal);
  }

  /** The same, but without one when it has taken too long. */
  async #turnWithin(ms: number): Promise<() => void> {
    const { controller, unlink } = linkedController(this.#gone.signal);
    const waited = sleep(this.#options.clock, ms, controller.signal).then(
      () => controller.abort(WAITED),
      () => {},
    );
    try {
      return await this.#turn(Priority.head, () => {}, controller.signal);
    } catch (error) {
      if (error === WAITED) return () => {};
      throw error;
    } finally {
      controller.abort(WAITED);
      await waited;
      unlink();
    }
  }
}

const GAVE_WAY = new DOMException("Music comes first", "AbortError");
const WAITED = new DOMException("Waited long enough", "AbortError");

function none(): AfterbayError {
  return new AfterbayError("not-found", "This track has no cover");
}

function nameOf({ source, id }: TrackKey): string {
  return `${source}\n${id}`;
}
