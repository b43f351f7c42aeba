import type { CatalogueTrack } from "../../data-source/resolution.ts";
import { toldTrack } from "../../data-source/told-track.ts";
import { at, type Fields, firstOf, listAt, textAt, walk } from "./walk.ts";

/** What is told of each track of an album once, above them. */
export interface ListHeader {
  readonly title?: string;
  readonly artist?: string;
  readonly artwork?: string;
}

const VIDEO_ID = /^[\w-]{11}$/;
const DURATION = /^\d{1,3}(?::[0-5]\d){1,2}$/;
/** What stands between artists, albums and lengths. */
const SEPARATOR = /^\s*[•·|]\s*$/;
/** What a result is, where results of all kinds stand together. */
const KINDS: ReadonlySet<string> = new Set(["Song", "Video", "Episode"]);
/** Pixels; the thumbnails beside a list are of 60 or 120. */
const COVER_SIZE = 544;
/** The other version of a track, which stands beside it: the video of a song. */
const BESIDE = ["counterpart"];

/** The tracks in a part of an answer, in order. What has no id, as what was taken away, is left out. */
export function tracksIn(part: unknown, header: ListHeader = {}): readonly CatalogueTrack[] {
  const tracks: CatalogueTrack[] = [];
  for (const [name, item] of walk(part, [ROW, PANEL_ROW], BESIDE)) {
    const track = name === ROW ? trackOfRow(item, header) : trackOfPanelRow(item);
    const told = toldTrack(track);
    if (told !== undefined) tracks.push(told);
  }
  return tracks;
}

const ROW = "musicResponsiveListItemRenderer";
const PANEL_ROW = "playlistPanelVideoRenderer";

/** What a list's page says of all of its tracks. */
export function headerOf(answer: unknown): ListHeader {
  const header = firstOf(answer, "musicResponsiveHeaderRenderer", "musicDetailHeaderRenderer");
  const title = joined(runsOf(at(header, "title")));
  const artist = artistsOf(runsOf(at(header, "straplineTextOne"))) ?? artistsOf(runsOf(at(header, "subtitle")), true);
  const artwork = artworkIn(at(header, "thumbnail"));
  return { ...(title && { title }), ...(artist && { artist }), ...(artwork && { artwork }) };
}

/** In searches, playlists and albums: columns of texts with links. */
function trackOfRow(item: Fields, header: ListHeader): object | undefined {
  // Shown in grey: it does not play here, or not any more.
  if (textAt(item, "musicItemRendererDisplayPolicy")?.endsWith("GREY_OUT") === true) return undefined;
  const columns = listAt(item, "flexColumns").map((column) =>
    runsOf(at(column, "musicResponsiveListItemFlexColumnRenderer", "text")),
  );
  const [title = [], ...others] = columns;
  const id = [
    textAt(item, "playlistItemData", "videoId"),
    textAt(firstOf(at(item, "overlay"), "watchEndpoint"), "videoId"),
    textAt(title[0], "navigationEndpoint", "watchEndpoint", "videoId"),
    textAt(item, "navigationEndpoint", "watchEndpoint", "videoId"),
  ].find((one) => one !== undefined);
  const [fixed] = listAt(item, "fixedColumns");
  const length = runsOf(at(fixed, "musicResponsiveListItemFixedColumnRenderer", "text"));
  const runs = others.flat();
  return trackOf(id, {
    title: joined(title),
    artist: artistsOf(runs) ?? artistsOf(others[0] ?? [], true) ?? header.artist,
    album: albumOf(runs) ?? header.title,
    length: durationOf([...length, ...runs]),
    artwork: artworkIn(at(item, "thumbnail")) ?? header.artwork,
  });
}

/** In what comes next: named texts. */
function trackOfPanelRow(item: Fields): object | undefined {
  const byline = runsOf(at(item, "longBylineText"));
  return trackOf(textAt(item, "videoId") ?? textAt(item, "navigationEndpoint", "watchEndpoint", "videoId"), {
    title: joined(runsOf(at(item, "title"))),
    artist: artistsOf(byline) ?? artistsOf(runsOf(at(item, "shortBylineText")), true) ?? artistsOf(byline, true),
    album: albumOf(byline),
    length: durationOf(runsOf(at(item, "lengthText"))),
    artwork: artworkIn(at(item, "thumbnail")),
  });
}

interface Facts {
  readonly title: string | undefined;
  readonly artist: string | undefined;
  readonly album: string | undefined;
  /** Milliseconds. */
  readonly length: number | undefined;
  readonly artwork: string | undefined;
}

function trackOf(id: string | undefined, { length, ...facts }: Facts): object | undefined {
  return id !== undefined && VIDEO_ID.test(id) ? { id, ...facts, durationMs: length } : undefined;
}

/** A text as YouTube gives it: pieces, some of them links. */
type Run = Fields;

function runsOf(text: unknown): readonly Run[] {
  const simple = textAt(text, "simpleText");
  const runs = simple === undefined ? listAt(text, "runs") : [{ text: simple }];
  return runs.filter((run): run is Run => textAt(run, "text") !== undefined);
}

function joined(runs: readonly Run[]): string | undefined {
  const text = runs.map((run) => textAt(run, "text")).join("");
  return text.trim() === "" ? undefined : text.trim();
}

function pageOf(run: Run): string {
  return textAt(run, "navigationEndpoint", "browseEndpoint", "browseId") ?? "";
}

/** The pieces that lead to artists; with `unlinked`, else what stands before the first separator. */
function artistsOf(runs: readonly Run[], unlinked = false): string | undefined {
  const linked = runs.filter((run) => pageOf(run).startsWith("UC"));
  if (linked.length > 0) return linked.map((run) => textAt(run, "text")).join(", ");
  if (!unlinked) return undefined;
  const parts: Run[][] = [[]];
  for (const run of runs) {
    if (SEPARATOR.test(textAt(run, "text") ?? "")) parts.push([]);
    else parts.at(-1)?.push(run);
  }
  const names = parts.map(joined).filter((part) => part !== undefined);
  return names.find((name) => !KINDS.has(name) && !DURATION.test(name) && !/^\d{4}$|^(?:Album|EP|Single)$/.test(name));
}

function albumOf(runs: readonly Run[]): string | undefined {
  return textAt(
    runs.find((run) => pageOf(run).startsWith("MPRE")),
    "text",
  );
}

/** Milliseconds. */
function durationOf(runs: readonly Run[]): number | undefined {
  const text = runs.map((run) => (textAt(run, "text") ?? "").trim()).findLast((part) => DURATION.test(part));
  return text === undefined ? undefined : 1000 * text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** The largest picture; of those that are made in any size, a larger one than lists show. */
function artworkIn(part: unknown): string | undefined {
  const [found] = [...walk({ part }, ["thumbnails"])];
  const pictures = found === undefined ? [] : Object.values(found[1]);
  const widthOf = (picture: unknown): number => Number(at(picture, "width") ?? 0);
  const url = textAt(pictures.toSorted((a, b) => widthOf(b) - widthOf(a))[0], "url");
  return url?.replace(/=w\d+-h\d+(?=-|$)/, `=w${COVER_SIZE}-h${COVER_SIZE}`);
}
