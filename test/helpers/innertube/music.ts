/** A track as YouTube Music shows it in lists. */
export interface FakeSong {
  readonly id: string;
  readonly title?: string;
  readonly artists?: readonly string[];
  readonly album?: string;
  /** As it is written: `3:45`. */
  readonly length?: string;
  /** It was taken away: a row without an id; or it is shown in grey. */
  readonly gone?: boolean | "grey";
}

/** A playlist, an album or a radio. */
export interface FakeList {
  readonly songs: readonly FakeSong[];
  readonly title?: string;
  readonly artist?: string;
  /** Songs a page. Default: all of them. */
  readonly page?: number;
  /** How a page names the next one. Default: `old`, as radios do still; playlists do both. */
  readonly continuations?: "old" | "new";
  /** Every page leads back to the first one. */
  readonly circular?: boolean;
  /** A playlist whose rows stand in a shelf as an album's do. */
  readonly plainShelf?: boolean;
}

interface Run {
  readonly text: string;
  readonly navigationEndpoint?: object;
}

const DOT: Run = { text: " • " };

function link(text: string, browseId: string, pageType: string): Run {
  const config = { browseEndpointContextMusicConfig: { pageType } };
  return { text, navigationEndpoint: { browseEndpoint: { browseId, browseEndpointContextSupportedConfigs: config } } };
}

const artistRuns = ({ artists = ["The Band"] }: FakeSong): Run[] =>
  artists.flatMap((name, at) => [
    ...(at === 0 ? [] : [{ text: " & " }]),
    link(name, `UC${"0".repeat(22)}`, "MUSIC_PAGE_TYPE_ARTIST"),
  ]);
const albumRun = (album: string): Run => link(album, "MPREb_0123456789a", "MUSIC_PAGE_TYPE_ALBUM");

function watch({ id, title = `Song ${id}` }: FakeSong): Run {
  const config = { watchEndpointMusicConfig: { musicVideoType: "MUSIC_VIDEO_TYPE_ATV" } };
  return {
    text: title,
    navigationEndpoint: { watchEndpoint: { videoId: id, watchEndpointMusicSupportedConfigs: config } },
  };
}

const flex = (runs: readonly Run[]): object => ({
  musicResponsiveListItemFlexColumnRenderer: { text: runs.length === 0 ? {} : { runs } },
});

function thumbnails(id: string): object {
  return {
    thumbnails: [60, 120].map((size) => ({
      url: `https://lh3.googleusercontent.com/${id}=w${size}-h${size}-l90-rj`,
      width: size,
      height: size,
    })),
  };
}

/** A row of a search (`found`), a playlist (`listed`) or an album (`album`): each has its columns. */
function row(song: FakeSong, kind: "found" | "listed" | "album"): object {
  const { album, length = "3:20", gone = false } = song;
  const about = [...artistRuns(song), ...(album === undefined ? [] : [DOT, albumRun(album)])];
  const columns = {
    found: [[watch(song)], [...about, DOT, { text: length }]],
    listed: [[watch(song)], artistRuns(song), album === undefined ? [] : [albumRun(album)]],
    album: [[watch(song)], song.artists === undefined ? [] : artistRuns(song), [{ text: "12M plays" }]],
  }[kind];
  const fixed = { musicResponsiveListItemFixedColumnRenderer: { text: { runs: [{ text: length }] }, size: "SMALL" } };
  const play = { musicPlayButtonRenderer: { playNavigationEndpoint: { watchEndpoint: { videoId: song.id } } } };
  // Menus hold tokens of their own, and other tracks' ids.
  const menu = { menuRenderer: { items: [{ continuationCommand: { token: "MENU" }, videoId: "menuvideoid" }] } };
  if (gone === true) {
    return { musicResponsiveListItemRenderer: { flexColumns: [flex([{ text: "Song deleted" }])], menu } };
  }
  return {
    musicResponsiveListItemRenderer: {
      ...(gone === "grey" && {
        musicItemRendererDisplayPolicy: "MUSIC_ITEM_RENDERER_DISPLAY_POLICY_GREY_OUT",
      }),
      ...(kind !== "album" && { thumbnail: { musicThumbnailRenderer: { thumbnail: thumbnails(song.id) } } }),
      overlay: { musicItemThumbnailOverlayRenderer: { content: play } },
      flexColumns: columns.map(flex),
      ...(kind !== "found" && { fixedColumns: [fixed] }),
      menu,
      playlistItemData: { videoId: song.id },
    },
  };
}

function panelRow(song: FakeSong): object {
  const { id, title = `Song ${id}`, album, length = "3:20" } = song;
  const byline = [...artistRuns(song), ...(album === undefined ? [] : [DOT, albumRun(album)]), DOT, { text: "2020" }];
  const video = {
    title: { runs: [{ text: title }] },
    longBylineText: { runs: byline },
    shortBylineText: { runs: artistRuns(song) },
    lengthText: { runs: [{ text: length }] },
    thumbnail: thumbnails(id),
    videoId: id,
    navigationEndpoint: { watchEndpoint: { videoId: id } },
  };
  // The video of the song, which is not the song.
  const other = { playlistPanelVideoRenderer: { ...video, videoId: `${id.slice(0, 10)}_` } };
  return {
    playlistPanelVideoWrapperRenderer: {
      primaryRenderer: { playlistPanelVideoRenderer: video },
      counterpart: [{ counterpartRenderer: other }],
    },
  };
}

/** Part of a list, with what leads on. */
interface Part {
  readonly rows: readonly object[];
  readonly next: string | undefined;
}

function partOf(list: FakeList, name: string, from: number, rowOf: (song: FakeSong) => object): Part {
  const { songs, page = songs.length, circular = false } = list;
  const end = from + page;
  const next = circular ? `${name}@0` : end < songs.length ? `${name}@${end}` : undefined;
  return { rows: songs.slice(from, end).map(rowOf), next };
}

/** As YouTube writes it: behind the rows, or beside them. */
function contentsOf({ rows, next }: Part, how: FakeList["continuations"], radio = false): object {
  if (next === undefined) return { contents: rows };
  if (how === "new") {
    const continuationEndpoint = { continuationCommand: { token: next, request: "CONTINUATION_REQUEST_TYPE_BROWSE" } };
    return { contents: [...rows, { continuationItemRenderer: { continuationEndpoint } }] };
  }
  const data = radio ? "nextRadioContinuationData" : "nextContinuationData";
  return { contents: rows, continuations: [{ [data]: { continuation: next } }] };
}

export function searchAnswer(list: FakeList, token: string): object {
  const shelf = contentsOf(
    partOf(list, token, 0, (song) => row(song, "found")),
    list.continuations,
  );
  const section =
    list.songs.length === 0
      ? { itemSectionRenderer: { contents: [{ messageRenderer: { text: { runs: [{ text: "No results found" }] } } }] } }
      : { musicShelfRenderer: { title: { runs: [{ text: "Songs" }] }, ...shelf } };
  const content = { sectionListRenderer: { header: { chipCloudRenderer: {} }, contents: [section] } };
  const tabs = [{ tabRenderer: { title: "YT Music", selected: true, content } }];
  return { contents: { tabbedSearchResultsRenderer: { tabs } } };
}

function header({ title = "A List", artist }: FakeList): object {
  return {
    musicResponsiveHeaderRenderer: {
      title: { runs: [{ text: title }] },
      subtitle: { runs: [{ text: "Album" }, DOT, { text: "2020" }] },
      ...(artist !== undefined && {
        straplineTextOne: { runs: [link(artist, `UC${"1".repeat(22)}`, "MUSIC_PAGE_TYPE_ARTIST")] },
      }),
      thumbnail: { musicThumbnailRenderer: { thumbnail: thumbnails("cover") } },
    },
  };
}

function browsePage(list: FakeList, sections: readonly object[]): object {
  const tab = { tabRenderer: { content: { sectionListRenderer: { contents: [header(list)] } } } };
  const secondaryContents = { sectionListRenderer: { contents: sections } };
  return { contents: { twoColumnBrowseResultsRenderer: { tabs: [tab], secondaryContents } } };
}

export function playlistAnswer(list: FakeList, token: string): object {
  const shelf = contentsOf(
    partOf(list, token, 0, (song) => row(song, "listed")),
    list.continuations,
  );
  // What would fit in: no part of the list.
  const suggestions = { title: { runs: [{ text: "Suggestions" }] }, contents: [row({ id: "suggested_1" }, "listed")] };
  const own = list.plainShelf === true ? { musicShelfRenderer: shelf } : { musicPlaylistShelfRenderer: shelf };
  return browsePage(list, [{ musicShelfRenderer: suggestions }, ...(list.songs.length === 0 ? [] : [own])]);
}

export function albumAnswer(list: FakeList, token: string): object {
  const shelf = contentsOf(
    partOf(list, token, 0, (song) => row(song, "album")),
    list.continuations,
  );
  const others = { contents: [{ musicTwoRowItemRenderer: { title: { runs: [{ text: "Deluxe" }] } } }] };
  return browsePage(list, [{ musicShelfRenderer: shelf }, { musicCarouselShelfRenderer: others }]);
}

function watchNext(panel: object): object {
  const queue = { musicQueueRenderer: { content: { playlistPanelRenderer: panel } } };
  const tabs = [{ tabRenderer: { title: "Up next", content: queue } }, { tabRenderer: { title: "Lyrics" } }];
  const tabbedRenderer = { watchNextTabbedResultsRenderer: { tabs } };
  return { contents: { singleColumnMusicWatchNextResultsRenderer: { tabbedRenderer } } };
}

export function radioAnswer(list: FakeList, playlistId: string, token: string): object {
  return watchNext({ ...contentsOf(partOf(list, token, 0, panelRow), "old", true), playlistId, isInfinite: true });
}

/** A track alone, and where its radio is to be had. */
export function aloneAnswer(song: FakeSong): object {
  const endpoint = { watchPlaylistEndpoint: { playlistId: `RDAMVM${song.id}`, params: "wAEB" } };
  const automix = { automixPlaylistVideoRenderer: { navigationEndpoint: endpoint } };
  return watchNext({ contents: [panelRow(song), { automixPreviewVideoRenderer: { content: automix } }] });
}

/** A page behind the first one. */
export function continuationAnswer(
  kind: "search" | "playlist" | "album" | "radio",
  list: FakeList,
  token: string,
): object {
  const [name = "", from = "0"] = token.split("@");
  const rowOf = {
    search: (song: FakeSong) => row(song, "found"),
    playlist: (song: FakeSong) => row(song, "listed"),
    album: (song: FakeSong) => row(song, "album"),
    radio: panelRow,
  }[kind];
  const part = partOf(list, name, Number(from), rowOf);
  if (list.continuations === "new") {
    const { contents } = contentsOf(part, "new") as { contents: object[] };
    return { onResponseReceivedActions: [{ appendContinuationItemsAction: { continuationItems: contents } }] };
  }
  const renderer = {
    search: "musicShelfContinuation",
    playlist: "musicPlaylistShelfContinuation",
    album: "musicShelfContinuation",
    radio: "playlistPanelContinuation",
  }[kind];
  return { continuationContents: { [renderer]: contentsOf(part, "old", kind === "radio") } };
}
