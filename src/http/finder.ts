import { abortable, linkedController } from "../data-source/aborting.ts";
import type { Clock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { toldTrack } from "../data-source/told-track.ts";
import { TimeSlice } from "../data-source/time-slice.ts";
import type { CatalogueTrack, FindRequest, Resolver } from "../data-source/resolution.ts";
import { AfterbayError, isAfterbayError } from "../errors.ts";
import { searchList } from "./list-search.ts";
import { verdictOf } from "./problem.ts";
import { isTrackId, parseLink, parseTrackKey } from "./track-path.ts";

/** A track as a source told of it. */
export interface FoundTrack extends CatalogueTrack {
  readonly source: string;
}

/** A source that could not search. */
export interface FailedSource {
  readonly source: string;
  readonly error: AfterbayError;
}

export interface FinderOptions {
  /** By key; the first is the default one. */
  readonly resolvers: ReadonlyMap<string, Resolver>;
  readonly clock: Clock;
}

/** Most tracks of one playlist, album or radio. */
const MAX_EXPANDED = 1000;
/** A radio has no end. */
const MAX_RADIO = 50;
export const MAX_FOUND = 100;
/** Playlists and the like that one list of ids may name: each costs its source several requests. */
const MAX_LISTS = 20;
/** How long a source may take, ms; long playlists come in many pages. */
const SEARCH_MS = 20_000;
const EXPAND_MS = 60_000;

/** Finds tracks: what ids and links name, what fits some words, what is like another track. */
export class Finder {
  readonly #resolvers: ReadonlyMap<string, Resolver>;
  readonly #defaultSource: string;
  readonly #clock: Clock;

  constructor({ resolvers, clock }: FinderOptions) {
    this.#resolvers = resolvers;
    this.#defaultSource = [...resolvers.keys()][0] ?? "";
    this.#clock = clock;
  }

  /** The name that a track is kept by. */
  canonical({ source, id }: TrackKey): TrackKey {
    const named = this.#resolvers.get(source)?.canonical?.(id);
    return named !== undefined && isTrackId(named) ? { source, id: named } : { source, id };
  }

  /**
   * What a person or a program wrote: a key as in `source/id`, an id of the default source, or a link as it is, with or
   * without a source. A link without one belongs to the default source if that knows it, else to the first that does.
   * Throws `bad-request` for what is none of these.
   */
  keyOf(text: string): TrackKey {
    const link = parseLink(text);
    const { source = link && this.#knowing(link.id), id } = link ?? parseTrackKey(text);
    return this.canonical({ source: source ?? this.#defaultSource, id });
  }

  /**
   * The tracks that keys stand for, in order: those of playlists, albums and radios, at most {@link MAX_EXPANDED} of each,
   * and everything else as it is. Lists are asked for one after the other; the first that fails is the answer.
   */
  async expand(keys: readonly TrackKey[], signal: AbortSignal): Promise<readonly FoundTrack[]> {
    const tracks: FoundTrack[] = [];
    const slice = new TimeSlice();
    const { controller, unlink } = linkedController(signal);
    let lists = 0;
    try {
      for (const key of keys) {
        if (slice.isOver) await slice.pause();
        const { source, id } = this.canonical(key);
        const limit = id.startsWith("radio:") ? MAX_RADIO : MAX_EXPANDED;
        const listing = this.#resolvers.get(source)?.expand?.(id, { signal: controller.signal, limit });
        if (listing === undefined) {
          tracks.push({ source, id });
          continue;
        }
        lists += 1;
        if (lists > MAX_LISTS) {
          listing.catch(() => {});
          throw new AfterbayError("bad-request", `At most ${MAX_LISTS} playlists, albums and radios are taken at once`);
        }
        tracks.push(...foundIn(await this.#within(EXPAND_MS, controller, listing), source, limit));
      }
      return tracks;
    } finally {
      controller.abort();
      unlink();
    }
  }

  /**
   * The tracks that fit some words, source by source: of the one that is named, else of all that can search. Rejects with
   * `bad-request` where that is none, and with the failure of the first where all have failed.
   */
  async search(
    words: string,
    { source, limit, signal }: FindRequest & { readonly source?: string | undefined },
  ): Promise<{ readonly tracks: readonly FoundTrack[]; readonly failed: readonly FailedSource[] }> {
    const able = this.#searching(source);
    const outcomes = await Promise.allSettled(
      able.map(async ([key, search]) => {
        const { controller, unlink } = linkedController(signal);
        const asking = search(words, { limit, signal: controller.signal });
        return foundIn(await this.#within(SEARCH_MS, controller, asking).finally(unlink), key, limit);
      }),
    );
    const failed: FailedSource[] = [];
    const tracks: FoundTrack[] = [];
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") tracks.push(...outcome.value);
      else if (!isAfterbayError(outcome.reason)) throw outcome.reason;
      else failed.push({ source: able[index]?.[0] ?? "", error: outcome.reason });
    }
    const [first] = failed;
    if (first !== undefined && failed.length === able.length) throw first.error;
    return { tracks, failed };
  }

  /** What to play after a track. Rejects with `bad-request` where its source does not know. */
  async similar(key: TrackKey, { limit, signal }: FindRequest): Promise<readonly FoundTrack[]> {
    const { source, id } = this.canonical(key);
    const resolver = this.#resolvers.get(source);
    if (resolver?.similar === undefined) {
      throw new AfterbayError("bad-request", "The source of this track knows none that are like it");
    }
    const { controller, unlink } = linkedController(signal);
    const asking = resolver.similar(id, { limit, signal: controller.signal });
    const found = await this.#within(SEARCH_MS, controller, asking).finally(unlink);
    return foundIn(found, source, limit).filter((track) => track.id !== id);
  }

  /** The first source that knows a link; the default one is the first of all. */
  #knowing(link: string): string | undefined {
    for (const [source, resolver] of this.#resolvers) if (resolver.canonical?.(link) !== undefined) return source;
    return undefined;
  }

  #searching(source: string | undefined): readonly (readonly [string, NonNullable<Resolver["search"]>])[] {
    if (source !== undefined && !this.#resolvers.has(source)) {
      throw new AfterbayError(
        "bad-request",
        `There is no such source; there are ${[...this.#resolvers.keys()].join(", ")}`,
      );
    }
    const all = [...this.#resolvers].flatMap(([key, resolver]) => {
      const search = searchOf(resolver);
      return search === undefined ? [] : [[key, search] as const];
    });
    const able = source === undefined ? all : all.filter(([key]) => key === source);
    if (able.length > 0) return able;
    const others = all.map(([key]) => key).join(", ");
    const message = source === undefined ? "No source here can search" : "This source cannot search";
    throw new AfterbayError("bad-request", others === "" ? message : `${message}; these can: ${others}`);
  }

  /** What a source gives in time. Rejects with what a client is told, in the words of whoever failed. */
  async #within<T>(ms: number, controller: AbortController, working: Promise<T>): Promise<T> {
    const late = new AfterbayError("upstream-timeout", "The source took too long to answer");
    const cancel = this.#clock.after(ms, () => controller.abort(late));
    try {
      return await abortable(working, controller.signal);
    } catch (error) {
      if (!isAfterbayError(error)) throw error;
      const { code, retryAfterMs } = verdictOf(error);
      if (code === "internal" || code === error.code) throw error;
      throw new AfterbayError(code, error.message, {
        cause: error,
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
    } finally {
      cancel();
    }
  }
}

function searchOf(resolver: Resolver): NonNullable<Resolver["search"]> | undefined {
  if (resolver.search !== undefined) return (words, request) => resolver.search?.(words, request) ?? none();
  if (resolver.list === undefined) return undefined;
  return async (words, { limit }) => await searchList((await resolver.list?.()) ?? [], words, limit);
}

async function none(): Promise<readonly CatalogueTrack[]> {
  return [];
}

/** A source may be anyone's: what is no track is left out. */
function foundIn(listed: readonly CatalogueTrack[], source: string, limit: number): readonly FoundTrack[] {
  const tracks: FoundTrack[] = [];
  for (const track of listed) {
    if (tracks.length >= limit) break;
    const told = toldTrack(track);
    if (told !== undefined && isTrackId(told.id)) tracks.push({ ...told, source });
  }
  return tracks;
}
