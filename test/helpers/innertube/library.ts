import {
  albumAnswer,
  aloneAnswer,
  continuationAnswer,
  type FakeList,
  type FakeSong,
  playlistAnswer,
  radioAnswer,
  searchAnswer,
} from "./music.ts";

/** A question to `/youtubei/v1/search`, `browse` or `next`. */
export interface MusicCall {
  readonly endpoint: string;
  readonly client: string;
  readonly version: string;
  readonly query?: string;
  readonly params?: string;
  readonly browseId?: string;
  readonly videoId?: string;
  readonly playlistId?: string;
  readonly continuation?: string;
}

/** What is answered in place of JSON. */
export interface Instead {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const SONGS = "EgWKAQIIAQ%3D%3D";

type Kind = "search" | "playlist" | "album" | "radio";

/** What YouTube Music has of lists, and who asked for it. */
export class FakeLibrary {
  calls: MusicCall[] = [];
  /** Answers every question so; after so many calls if a number is given. */
  instead: (Instead & { readonly after?: number }) | undefined;
  /** Radios are had only by way of a first answer that says where. */
  twoSteps = false;
  /** No question is answered. */
  hangs = false;
  /** Questions are answered when this is settled. */
  gate: Promise<unknown> | undefined;
  readonly #lists = new Map<string, { readonly kind: Kind; readonly list: FakeList }>();

  /** What a search for songs finds, or for videos. */
  search(query: string, list: FakeList, kind: "songs" | "videos" = "songs"): void {
    this.#lists.set(`${kind}:${query}`, { kind: "search", list });
  }

  playlist(id: string, list: FakeList): void {
    this.#lists.set(`VL${id}`, { kind: "playlist", list });
  }

  album(id: string, list: FakeList): void {
    this.#lists.set(id, { kind: "album", list });
  }

  radio(videoId: string, list: FakeList): void {
    this.#lists.set(`RDAMVM${videoId}`, { kind: "radio", list });
  }

  /** The endpoints and what was asked of them since the last look, in order. */
  asked(): string[] {
    return this.calls
      .splice(0)
      .map(({ endpoint, query, browseId, videoId, playlistId, continuation }) =>
        [endpoint, query ?? browseId ?? continuation ?? playlistId ?? videoId].join(" "),
      );
  }

  /** An HTTP answer, or JSON; undefined: there is none to come. */
  answer(call: MusicCall): Instead | object | undefined {
    this.calls.push(call);
    if (this.hangs) return undefined;
    if (this.instead !== undefined && this.calls.length > (this.instead.after ?? 0)) return this.instead;
    const { continuation, endpoint, query, params, browseId, videoId, playlistId } = call;
    if (continuation !== undefined) {
      const found = this.#lists.get(continuation.split("@")[0] ?? "");
      return found === undefined ? NOT_FOUND : continuationAnswer(found.kind, found.list, continuation);
    }
    if (endpoint === "search") {
      const name = `${params === SONGS ? "songs" : "videos"}:${query}`;
      return searchAnswer(this.#lists.get(name)?.list ?? { songs: [] }, name);
    }
    if (endpoint === "next") return this.#next(videoId, playlistId);
    const found = this.#lists.get(browseId ?? "");
    if (found === undefined) return NOT_FOUND;
    return (found.kind === "album" ? albumAnswer : playlistAnswer)(found.list, browseId ?? "");
  }

  #next(videoId: string | undefined, playlistId: string | undefined): Instead | object {
    const radio = this.#lists.get(playlistId ?? "");
    const seen = this.calls.filter(({ endpoint }) => endpoint === "next").length > 1;
    if (this.twoSteps && !seen && videoId !== undefined) return aloneAnswer({ id: videoId } satisfies FakeSong);
    return radio === undefined ? NOTHING_NEXT : radioAnswer(radio.list, playlistId ?? "", playlistId ?? "");
  }
}

/** As Innertube answers for a playlist that there is none of. */
const NOT_FOUND: Instead = {
  status: 404,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ error: { code: 404, message: "Requested entity was not found.", status: "NOT_FOUND" } }),
};
/** And for a video that there is none of. */
const NOTHING_NEXT = { contents: { singleColumnMusicWatchNextResultsRenderer: { tabbedRenderer: {} } } };
