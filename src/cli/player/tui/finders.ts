import type { TrackKey } from "../../../data-source/data-source.ts";
import type { Playback } from "../../../player/playback.ts";
import { trackKey } from "../../../http/track-path.ts";
import { setTimeout as delay } from "node:timers/promises";
import { TimeSlice } from "../../../data-source/time-slice.ts";
import type { Track } from "../../control/answers.ts";
import type { Known, TrackBook } from "../track-book.ts";
import type { Found } from "./view.ts";

/** A place where tracks can be found by their names. */
export interface Finder {
  /** What fits the text, best first. The signal aborts when something else is looked for. May reject. */
  find(text: string, signal: AbortSignal): Promise<readonly Found[]>;
}

/** A source far away is asked once nothing more was typed for this long, ms. */
const ASK_AFTER_MS = 350;
/** Of fewer characters a source finds anything. */
const MIN_TEXT = 2;
/** More are not looked through by anyone. */
const MAX_FOUND = 500;
/** What the catalogue was is taken for what it is so long, ms. */
const FRESH_MS = 20_000;
const MARKS = /\p{M}+/gu;

/** Finds entries of the queue, once something was typed. */
export function queueFinder(playback: Playback, book: TrackBook): Finder {
  return {
    async find(text, signal) {
      if (text.trim() === "") return [];
      const fits = matcher(text);
      return await collect(playback.state.queue, signal, (entry) =>
        fits(namesOf(entry, book.peek(entry))) ? { track: entry, entry: entry.entry, where: "queue" } : undefined,
      );
    },
  };
}

/** Finds tracks of the catalogue: all of them, where nothing was typed. */
export function catalogueFinder(list: () => Promise<readonly Track[]>, book: TrackBook): Finder {
  let known:
    | { readonly at: number; readonly tracks: Promise<readonly { names: string; track: TrackKey }[]> }
    | undefined;
  const learn = async (): Promise<readonly { names: string; track: TrackKey }[]> => {
    const tracks = await list();
    book.note(tracks);
    return tracks.map((one) => ({ names: namesOf(one, one), track: { source: one.source, id: one.id } }));
  };
  return {
    async find(text, signal) {
      if (known === undefined || performance.now() - known.at > FRESH_MS) {
        const tracks = learn();
        known = { at: performance.now(), tracks };
        tracks.catch(() => (known = undefined));
      }
      const fits = matcher(text);
      const tracks = await known.tracks;
      const found = await collect(tracks, signal, ({ names, track }) =>
        fits(names) ? { track, where: "catalogue" } : undefined,
      );
      return titlesFirst(found, text, book);
    },
  };
}

/** Has the sources search that can, for what neither the queue nor the catalogue has. */
export function sourceFinder(
  search: (words: string, signal: AbortSignal) => Promise<readonly Track[]>,
  book: TrackBook,
): Finder {
  return {
    async find(text, signal) {
      if (text.trim().length < MIN_TEXT) return [];
      await delay(ASK_AFTER_MS, undefined, { signal });
      const tracks = await search(text.trim(), signal);
      book.note(tracks);
      return tracks.map(({ source, id }) => ({ track: { source, id }, where: source }));
    },
  };
}

/** Tracks whose title holds what was typed come before those of which it is the artist's. */
function titlesFirst(found: readonly Found[], text: string, book: TrackBook): readonly Found[] {
  const wanted = folded(text).trim();
  const isTitle = ({ track }: Found): boolean => folded(book.peek(track).title ?? track.id).includes(wanted);
  return [...found.filter((one) => isTitle(one)), ...found.filter((one) => !isTitle(one))];
}

async function collect<Item>(
  items: readonly Item[],
  signal: AbortSignal,
  foundOf: (item: Item) => Found | undefined,
): Promise<Found[]> {
  const found: Found[] = [];
  const slice = new TimeSlice();
  for (const item of items) {
    if (slice.isOver) await slice.pause();
    if (signal.aborted || found.length >= MAX_FOUND) break;
    const one = foundOf(item);
    if (one !== undefined) found.push(one);
  }
  return found;
}

/** True for names that hold every word of the text, whatever its case and accents. */
function matcher(text: string): (names: string) => boolean {
  const words = folded(text)
    .split(/\s+/)
    .filter((word) => word !== "");
  return (names) => words.every((word) => names.includes(word));
}

function namesOf(track: TrackKey, { title = "", artist = "", album = "" }: Known): string {
  return folded([title, artist, album, track.id, trackKey(track.source, track.id)].join(" "));
}

function folded(text: string): string {
  return text.normalize("NFKD").replaceAll(MARKS, "").toLowerCase();
}
