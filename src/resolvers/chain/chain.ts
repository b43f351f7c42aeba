import { linkedController } from "../../data-source/aborting.ts";
import { type Clock, systemClock } from "../../data-source/clock.ts";
import type { CatalogueTrack, Resolution, Resolver, ResolveRequest } from "../../data-source/resolution.ts";
import { abortReason, type AfterbayError, isAfterbayError } from "../../errors.ts";
import { Closing } from "../closing.ts";
import { combined } from "./combined.ts";
import { finding } from "./finding.ts";
import { Member, OVERTAKEN, resting } from "./member.ts";
import { TrackMemories, type TrackMemory } from "./track-memory.ts";

/** A source, under a name of its own within the chain. */
export interface Link {
  readonly key: string;
  readonly resolver: Resolver;
}

/** A member that has not answered for this long, ms, is no longer waited for alone: all have 20 s together. */
const PATIENCE_MS = 8000;

/**
 * Several sources as one: each is asked in turn until one has the track. One that is silent for 8 s is waited for together
 * with the next, and the first answer counts. Where bytes are held, whoever can have the same ones is asked first; whoever
 * had a URL refused comes after the others.
 *
 * Each has a health score, by which it is asked after the others when it fails, and a circuit breaker, by which it is not
 * asked at all when it fails for all tracks. Where all fail, the most hopeful failure is told: `not-found` only where all
 * say so.
 */
export function createChain(links: readonly Link[], clock: Clock = systemClock): Resolver {
  const members = links.map(({ key, resolver }) => new Member(key, resolver, clock));
  const memories = new TrackMemories(clock);
  const closing = new Closing();
  const hosts = links.flatMap(({ resolver }) => resolver.hosts ?? []);
  const lists = links.some(({ resolver }) => resolver.list !== undefined);
  return {
    resolve: (id, request) =>
      closing.run(request.signal, async (signal) => {
        const memory = memories.of(id, request.quality);
        memory.learn(request.attempt, request.reason);
        return await new Round(id, { ...request, signal }, memory, clock).run(memory.order(members, request.variant));
      }),
    ...finding(links.map(({ resolver }) => resolver)),
    ...(lists && { list: () => listAll(links) }),
    ...(hosts.length > 0 && { hosts }),
    async close() {
      closing.end();
      for (const { resolver } of links) await resolver.close?.();
    },
  };
}

/** Of a track that several list, what the first of them says. */
async function listAll(links: readonly Link[]): Promise<readonly CatalogueTrack[]> {
  const tracks = new Map<string, CatalogueTrack>();
  for (const { resolver } of links) {
    for (const track of (await resolver.list?.()) ?? []) if (!tracks.has(track.id)) tracks.set(track.id, track);
  }
  return [...tracks.values()];
}

/** One call of the chain. */
class Round {
  readonly #id: string;
  readonly #request: ResolveRequest;
  readonly #memory: TrackMemory;
  readonly #clock: Clock;
  readonly #failures = new Map<Member, AfterbayError>();
  /** What a member insists on. */
  #spare: { readonly member: Member; readonly resolution: Resolution } | undefined;

  constructor(id: string, request: ResolveRequest, memory: TrackMemory, clock: Clock) {
    this.#id = id;
    this.#request = request;
    this.#memory = memory;
    this.#clock = clock;
  }

  async run(order: readonly Member[]): Promise<Resolution> {
    const { signal } = this.#request;
    const { controller, unlink } = linkedController(signal);
    try {
      return await this.#race(order, controller.signal);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      controller.abort(OVERTAKEN);
      unlink();
    }
  }

  /** Settles with the first answer, or what to say when all have failed. */
  #race(order: readonly Member[], signal: AbortSignal): Promise<Resolution> {
    return new Promise((resolve, reject) => {
      const left = [...order];
      let waiting = 0;
      let cancel = (): void => {};
      const askNext = (): void => {
        cancel();
        if (signal.aborted) return;
        const member = left.shift();
        if (member === undefined) {
          if (waiting === 0) this.#end(order, resolve, reject);
          return;
        }
        waiting += 1;
        cancel = this.#clock.after(PATIENCE_MS, askNext);
        void this.#ask(member, signal).then((resolution) => {
          waiting -= 1;
          if (resolution === undefined) return askNext();
          cancel();
          resolve(resolution);
        }, reject);
      };
      const stop = (): void => {
        cancel();
        reject(abortReason(signal));
      };
      signal.addEventListener("abort", stop, { once: true });
      askNext();
    });
  }

  /** All have failed, if a URL that was refused already is a failure: with nothing else there, it may be tried again. */
  #end(order: readonly Member[], resolve: (spare: Resolution) => void, reject: (error: AfterbayError) => void): void {
    if (this.#spare === undefined) return reject(combined(order.flatMap((each) => this.#failures.get(each) ?? [])));
    this.#memory.served(this.#spare.member, this.#spare.resolution);
    resolve(this.#spare.resolution);
  }

  /** Undefined where it has failed. */
  async #ask(member: Member, signal: AbortSignal): Promise<Resolution | undefined> {
    const memory = this.#memory;
    const known = memory.verdictOf(member) ?? (member.restMs > 0 ? resting(member.restMs) : undefined);
    if (known !== undefined) {
      this.#failures.set(member, known);
      return undefined;
    }
    try {
      const resolution = await member.resolve(this.#id, this.#requestFor(member, signal));
      if (memory.wasRefused(member, resolution)) {
        // Of the one that was refused last, the pipeline knows what to make.
        if (this.#spare === undefined || memory.refusedLast === resolution.url) this.#spare = { member, resolution };
        return undefined;
      }
      if (!signal.aborted) memory.served(member, resolution);
      return resolution;
    } catch (error) {
      // Only the caller's own signal makes it something else.
      if (!isAfterbayError(error)) throw error;
      if (isAfterbayError(error, "not-found", "unplayable")) memory.decided(member, error);
      this.#failures.set(member, error);
      return undefined;
    }
  }

  /** Of what happened to URLs of others it is not told. */
  #requestFor(member: Member, signal: AbortSignal): ResolveRequest {
    const { reason } = this.#request;
    const tries = this.#memory.triesOf(member);
    const ownReason = tries > 0 || reason === "expired" ? reason : "first";
    return { ...this.#request, signal, attempt: tries + 1, reason: ownReason };
  }
}
