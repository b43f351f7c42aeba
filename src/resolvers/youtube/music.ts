import { LRUCache } from "lru-cache";
import type { CatalogueTrack, FindRequest } from "../../data-source/resolution.ts";
import { abortReason, AfterbayError, isAfterbayError } from "../../errors.ts";
import { SharedCalls } from "../shared-calls.ts";
import { headerOf, type ListHeader, tracksIn } from "./music-items.ts";
import type { NamedList } from "./names.ts";
import { at, type Fields, firstOf, textAt, walk } from "./walk.ts";

type Endpoint = "/search" | "/browse" | "/next";

/** Asks Innertube as YouTube Music does; answers its JSON. */
export type AskMusic = (endpoint: Endpoint, args: Fields, signal: AbortSignal) => Promise<unknown>;

export interface MusicOptions {
  readonly ask: AskMusic;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** One page of a list of tracks. */
interface Page {
  readonly tracks: readonly CatalogueTrack[];
  /** What the next one is asked for by. */
  readonly token?: string | undefined;
}

/** Where the pages of a list come from. */
interface Paged {
  readonly endpoint: Endpoint;
  readonly header?: ListHeader;
  /** It may hold a track twice. */
  readonly repeats: boolean;
}

const UP_NEXT: Paged = { endpoint: "/next", repeats: false };
/** How YouTube's filters are written: songs, and videos. */
const SONGS = "EgWKAQIIAQ%3D%3D";
const VIDEOS = "EgWKAQIQAQ%3D%3D";
/** "Start radio". */
const RADIO = "wAEB";
/** A page has 20 results of a search, 100 of a playlist, 25 to 50 of a radio. */
const MAX_PAGES = 12;
/** Who asks the same again this soon gets the same, ms. */
const KEPT_MS = 60_000;
const MAX_KEPT = 50;
const MAX_FACTS = 5000;

/**
 * What YouTube Music knows of lists of tracks: searches, playlists, albums, radios. The same is asked for once at a time and
 * once a minute. Where it wants to be left alone, nothing is asked for until then. Nothing is tried again: whoever searches
 * does that.
 *
 * Its answers are read here and not by youtubei.js, which gives up on a whole page for one part of it that it does not know.
 */
export class Music {
  readonly #ask: AskMusic;
  readonly #now: () => number;
  readonly #calls = new SharedCalls<readonly CatalogueTrack[]>();
  readonly #kept: LRUCache<string, readonly CatalogueTrack[]>;
  readonly #facts = new LRUCache<string, CatalogueTrack>({ max: MAX_FACTS });
  #blocked: { readonly error: AfterbayError; readonly until: number } | undefined;

  constructor({ ask, now }: MusicOptions) {
    this.#ask = ask;
    this.#now = now;
    this.#kept = new LRUCache({ max: MAX_KEPT, ttl: KEPT_MS, ttlResolution: 0, perf: { now } });
  }

  /** Songs; videos, where no song fits. */
  search(words: string, request: FindRequest): Promise<readonly CatalogueTrack[]> {
    return this.#once(`search ${words}`, request, async (signal, limit) => {
      const songs = await this.#found(words, SONGS, limit, signal);
      return songs.length > 0 ? songs : await this.#found(words, VIDEOS, limit, signal);
    });
  }

  /** The tracks of a list. Rejects with `not-found` where YouTube shows none. */
  list({ kind, id }: NamedList, request: FindRequest): Promise<readonly CatalogueTrack[]> {
    return this.#once(`${kind} ${id}`, request, async (signal, limit) => {
      const tracks = await this.#listed(kind, id, limit, signal);
      if (tracks.length === 0) throw new AfterbayError("not-found", NOTHING[kind]);
      return tracks;
    });
  }

  /** What was last told of a track. */
  factsOf(videoId: string): CatalogueTrack | undefined {
    return this.#facts.get(videoId);
  }

  async #once(
    name: string,
    { limit, signal }: FindRequest,
    work: (signal: AbortSignal, limit: number) => Promise<readonly CatalogueTrack[]>,
  ): Promise<readonly CatalogueTrack[]> {
    const key = `${limit} ${name}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    return await this.#calls.run(key, signal, async (until) => {
      const tracks = (await work(until, limit)).slice(0, limit);
      this.#kept.set(key, tracks);
      for (const track of tracks) this.#facts.set(track.id, { ...this.#facts.get(track.id), ...track });
      return tracks;
    });
  }

  async #found(words: string, params: string, limit: number, signal: AbortSignal): Promise<CatalogueTrack[]> {
    const answer = await this.#request("/search", { query: words, params }, signal);
    if (firstOf(answer, "sectionListRenderer", "messageRenderer") === undefined) throw unreadable();
    return await this.#follow(
      pageOf(firstOf(answer, "sectionListRenderer")),
      limit,
      { endpoint: "/search", repeats: false },
      signal,
    );
  }

  async #listed(kind: NamedList["kind"], id: string, limit: number, signal: AbortSignal): Promise<CatalogueTrack[]> {
    if (kind === "mix") return await this.#upNext({ playlistId: id }, limit, signal);
    if (kind === "radio") {
      return await this.#upNext({ videoId: id, playlistId: `RDAMVM${id}`, params: RADIO }, limit, signal);
    }
    const isAlbum = kind === "album";
    const answer = await this.#request("/browse", { browseId: isAlbum ? id : `VL${id}` }, signal);
    const header = isAlbum ? headerOf(answer) : {};
    const first = pageOf(isAlbum ? firstOf(answer, ...SHELVES) : playlistShelf(answer), header);
    return await this.#follow(first, limit, { endpoint: "/browse", header, repeats: true }, signal);
  }

  async #upNext(args: Fields, limit: number, signal: AbortSignal): Promise<CatalogueTrack[]> {
    const about = { enablePersistentPlaylistPanel: true, tunerSettingValue: "AUTOMIX_SETTING_NORMAL" };
    const answer = await this.#request("/next", { ...args, ...about }, signal);
    const page = pageOf(firstOf(answer, PANEL));
    if (page.tracks.length > 1) return await this.#follow(page, limit, UP_NEXT, signal);
    // The track alone, and where its radio is to be had.
    const radio = firstOf(firstOf(answer, "automixPreviewVideoRenderer"), "watchPlaylistEndpoint");
    const [playlistId, params] = [textAt(radio, "playlistId"), textAt(radio, "params")];
    if (playlistId === undefined) return [...page.tracks];
    const more = { ...args, playlistId, ...(params !== undefined && { params }), ...about };
    const mixed = pageOf(firstOf(await this.#request("/next", more, signal), PANEL));
    return await this.#follow(mixed, limit, UP_NEXT, signal);
  }

  /** A first page, and those after it until there are `limit` tracks. */
  async #follow(first: Page, limit: number, list: Paged, signal: AbortSignal): Promise<CatalogueTrack[]> {
    const { endpoint, header, repeats } = list;
    const told = new Set<string>();
    // A radio comes back to what it played, a search finds things twice; a playlist means it.
    const isNew = ({ id }: CatalogueTrack): boolean => repeats || (!told.has(id) && told.add(id).size > 0);
    const tracks = first.tracks.filter(isNew);
    const seen = new Set<string>();
    let { token } = first;
    while (token !== undefined && tracks.length < limit && seen.size + 1 < MAX_PAGES) {
      seen.add(token);
      const answer = await this.#request(endpoint, { continuation: token }, signal);
      const page = pageOf(
        CONTINUED.map((name) => at(answer, name)).find((part) => part !== undefined),
        header,
      );
      const more = page.tracks.filter(isNew);
      tracks.push(...more);
      // An end that leads back, or on and on to nothing.
      token = more.length === 0 || page.token === undefined || seen.has(page.token) ? undefined : page.token;
    }
    return tracks;
  }

  async #request(endpoint: Endpoint, args: Fields, signal: AbortSignal): Promise<unknown> {
    const wait = (this.#blocked?.until ?? 0) - this.#now();
    if (this.#blocked !== undefined && wait > 0) {
      const { code, message } = this.#blocked.error;
      throw new AfterbayError(code, message, { retryAfterMs: wait });
    }
    try {
      return await this.#ask(endpoint, args, signal);
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      if (isAfterbayError(error, "busy")) {
        this.#blocked = { error, until: this.#now() + (error.retryAfterMs ?? 0) };
      }
      if (isAfterbayError(error, "upstream-failed") && error.status === 404) {
        throw new AfterbayError("not-found", NOTHING.playlist);
      }
      throw error;
    }
  }
}

const NOTHING = {
  playlist:
    "YouTube shows no tracks under this id: there is no such list, it is empty or private; look at the link, or make the list public",
  album: "YouTube has no such album, or none of its tracks here; search for it again",
  radio: "YouTube has no radio for this track; look at its id, or try another track",
  mix: "YouTube has no such mix, or only for a login, which Afterbay does not have",
} as const;

const PANEL = "playlistPanelRenderer";
const SHELVES = ["musicShelfRenderer", "musicPlaylistShelfRenderer"];
/** Where the pages behind the first one are. */
const CONTINUED = [
  "continuationContents",
  "onResponseReceivedActions",
  "onResponseReceivedCommands",
  "onResponseReceivedEndpoints",
];

/** A playlist's own rows; beside them stand others under a title, of what would fit in. */
function playlistShelf(answer: unknown): Fields | undefined {
  const shelf = firstOf(answer, "musicPlaylistShelfRenderer");
  if (shelf !== undefined) return shelf;
  for (const [, other] of walk(answer, ["musicShelfRenderer"])) if (!("title" in other)) return other;
  return undefined;
}

/** The tracks in a part of an answer, and where it goes on. */
function pageOf(part: unknown, header?: ListHeader): Page {
  return { tracks: tracksIn(part, header), token: tokenIn(part) };
}

/** Not inside of the rows, whose menus hold tokens as well. */
function tokenIn(part: unknown): string | undefined {
  const names = ["nextContinuationData", "nextRadioContinuationData", "continuationCommand"];
  const rows = ["musicResponsiveListItemRenderer", "playlistPanelVideoRenderer", "playlistPanelVideoWrapperRenderer"];
  for (const [, found] of walk(part, names, rows)) {
    const token = textAt(found, "continuation") ?? textAt(found, "token");
    if (token !== undefined) return token;
  }
  return undefined;
}

function unreadable(): AfterbayError {
  return new AfterbayError("upstream-failed", "YouTube's answer cannot be understood: update Afterbay");
}
