import { LRUCache } from "lru-cache";
import type { TrackMeta } from "../cache/index-entry.ts";
import type { StoredTrack, TrackCache } from "../cache/track-cache.ts";
import { CHUNK_SIZE, type TrackKey } from "../data-source/data-source.ts";
import { TimeSlice } from "../data-source/time-slice.ts";
import type { CatalogueTrack, Resolver } from "../data-source/resolution.ts";
import type { ApiTrack } from "./api-track.ts";
import type { FoundTrack } from "./finder.ts";
import { artworkPath, trackKey } from "./track-path.ts";

/** Tracks of which is kept what their source lists of them, or told of them when they were looked for. */
const MAX_LEARNT = 5000;
/** A listing with more stored tracks than this leaves the maps out: each is read from its own file. */
const MAX_MAPS = 500;

export interface CatalogueOptions {
  readonly cache: TrackCache;
  readonly resolvers: ReadonlyMap<string, Resolver>;
  readonly isPinned: (key: TrackKey) => boolean;
}

/** What the sources list, together with what is stored. */
export class Catalogue {
  readonly #options: CatalogueOptions;
  readonly #learnt = new LRUCache<string, TrackMeta>({ max: MAX_LEARNT });

  constructor(options: CatalogueOptions) {
    this.#options = options;
  }

  /** All tracks: those that sources list, in their order, then what else is stored. Others have their turn in between. */
  async *list(): AsyncGenerator<ApiTrack> {
    const { cache, resolvers } = this.#options;
    const withMaps = cache.variants <= MAX_MAPS;
    const slice = new TimeSlice();
    const told = new Set<string>();
    for (const [source, resolver] of resolvers) {
      for (const listed of (await resolver.list?.()) ?? []) {
        if (slice.isOver) await slice.pause();
        const key = { source, id: listed.id };
        told.add(trackKey(source, listed.id));
        yield await this.#describe(key, listed, cache.find(key), withMaps);
      }
    }
    for (const key of cache.keys()) {
      if (slice.isOver) await slice.pause();
      const stored = told.has(trackKey(key.source, key.id)) ? undefined : cache.find(key);
      if (stored !== undefined) yield await this.#describe(key, undefined, stored, withMaps);
    }
  }

  /** Remembers what sources told of tracks. */
  hear(found: readonly FoundTrack[]): void {
    for (const { source, ...told } of found) {
      const { id, size: _size, contentType: _type, ...meta } = told;
      const key = trackKey(source, id);
      if (Object.keys(meta).length > 0) this.#learnt.set(key, { ...this.#learnt.get(key), ...meta });
    }
  }

  /** Tracks that were found, in their order, with what else is known of them. What was told of them is remembered. */
  async *describe(found: readonly FoundTrack[]): AsyncGenerator<ApiTrack> {
    const { cache } = this.#options;
    const withMaps = found.length <= MAX_MAPS;
    const slice = new TimeSlice();
    this.hear(found);
    const lists = new Map<string, ReadonlyMap<string, CatalogueTrack>>();
    for (const { source, id } of found) {
      if (slice.isOver) await slice.pause();
      const list = lists.get(source) ?? byId((await this.#listOf(source)) ?? []);
      lists.set(source, list);
      yield await this.#describe({ source, id }, list.get(id), cache.find({ source, id }), withMaps);
    }
  }

  /** One track with its map; undefined if no source lists or told of it and nothing of it is stored. */
  async find({ source, id }: TrackKey): Promise<ApiTrack | undefined> {
    const { cache } = this.#options;
    const listed = await this.#listed({ source, id });
    const stored = cache.find({ source, id });
    return listed === undefined && stored === undefined && !this.#learnt.has(trackKey(source, id))
      ? undefined
      : await this.#describe({ source, id }, listed, stored, true);
  }

  /** What is known of a track at once: what its source said when it was resolved, or when it was last learnt. */
  facts(key: TrackKey): TrackMeta {
    return shown(key, { ...this.#learnt.get(trackKey(key.source, key.id)), ...this.#options.cache.find(key)?.meta });
  }

  /** What is known of these tracks, by their keys. Rejects where a source fails to list its tracks. */
  async learn(keys: readonly TrackKey[]): Promise<ReadonlyMap<string, TrackMeta>> {
    const slice = new TimeSlice();
    const wanted = new Set(keys.map(({ source, id }) => trackKey(source, id)));
    const found = new Map<string, TrackMeta>();
    for (const source of new Set(keys.map((key) => key.source))) {
      for (const { size: _size, contentType: _type, id, ...meta } of (await this.#listOf(source)) ?? []) {
        if (slice.isOver) await slice.pause();
        const key = trackKey(source, id);
        if (!wanted.has(key)) continue;
        this.#learnt.set(key, meta);
        found.set(key, meta);
      }
    }
    for (const track of keys) {
      if (slice.isOver) await slice.pause();
      const key = trackKey(track.source, track.id);
      const known = found.get(key) ?? this.#learnt.get(key);
      found.set(key, shown(track, { ...known, ...this.#options.cache.find(track)?.meta }));
    }
    return found;
  }

  /** Where the cover of a track is to be had: as its source said when it was found, else as it lists it, else as is kept. */
  async artworkAddress(key: TrackKey): Promise<string | undefined> {
    const told = this.#learnt.get(trackKey(key.source, key.id))?.artwork ?? (await this.#listed(key))?.artwork;
    return told ?? this.#options.cache.find(key)?.meta.artwork;
  }

  async #listed(key: TrackKey): Promise<CatalogueTrack | undefined> {
    return (await this.#listOf(key.source))?.find(({ id }) => id === key.id);
  }

  async #listOf(source: string): Promise<readonly CatalogueTrack[] | undefined> {
    return await this.#options.resolvers.get(source)?.list?.();
  }

  async #describe(
    { source, id }: TrackKey,
    listed: CatalogueTrack | undefined,
    stored: StoredTrack | undefined,
    withMap: boolean,
  ): Promise<ApiTrack> {
    const { id: _id, size: listedSize, contentType: listedType, ...listedMeta } = listed ?? { id };
    const size = stored?.facts.size ?? listedSize;
    const contentType = stored?.facts.contentType ?? listedType;
    return {
      source,
      id,
      key: trackKey(source, id),
      ...shown(
        { source, id },
        { ...(listed === undefined ? this.#learnt.get(trackKey(source, id)) : listedMeta), ...stored?.meta },
      ),
      ...(stored === undefined ? {} : { variant: stored.variant }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(size === undefined ? {} : { size }),
      cachedBytes: stored?.bytes ?? 0,
      // A local file needs no network.
      complete: stored?.complete ?? (listed !== undefined && this.#options.resolvers.get(source)?.local !== undefined),
      pinned: this.#options.isPinned({ source, id }),
      chunkSize: CHUNK_SIZE,
      ...(withMap && size !== undefined ? await this.#map(stored, size) : { chunks: "", spans: [] }),
      ...(stored?.played !== true ? {} : { lastPlayedAt: new Date(stored.playedAt).toISOString() }),
    };
  }

  async #map(stored: StoredTrack | undefined, size: number): Promise<Pick<ApiTrack, "chunks" | "spans">> {
    if (stored === undefined) return { chunks: ".".repeat(Math.ceil(size / CHUNK_SIZE)), spans: [] };
    const { cache } = this.#options;
    const spans = await cache.spans(stored);
    const fetching = cache.liveVariant(stored)?.fillSpans() ?? [];
    return { chunks: chunkMap(size, spans, fetching), spans: spans.map(({ start, end }) => [start, end]) };
  }
}

function byId(tracks: readonly CatalogueTrack[]): ReadonlyMap<string, CatalogueTrack> {
  return new Map(tracks.map((track) => [track.id, track]));
}

/** What is told of a track: of where its cover comes from, only that it has one. */
function shown({ source, id }: TrackKey, { artwork, ...meta }: TrackMeta): TrackMeta {
  return artwork === undefined ? meta : { ...meta, artwork: artworkPath(source, id) };
}

interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** One character per chunk: `#` whole on disk, `-` being fetched, `=` partly on disk, `.` absent. Both lists in order. */
function chunkMap(size: number, spans: readonly Stretch[], fetching: readonly Stretch[]): string {
  let map = "";
  for (let start = 0; start < size; start += CHUNK_SIZE) {
    const end = Math.min(start + CHUNK_SIZE, size);
    const overlaps = (stretch: Stretch): boolean => stretch.start < end && stretch.end > start;
    if (spans.some((span) => span.start <= start && span.end >= end)) map += "#";
    else if (fetching.some(overlaps)) map += "-";
    else map += spans.some(overlaps) ? "=" : ".";
  }
  return map;
}
