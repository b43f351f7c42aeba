import type { CatalogueTrack } from "../data-source/resolution.ts";
import { TimeSlice } from "../data-source/time-slice.ts";

/**
 * The tracks of a list in whose title, artist and album all of `words` occur, whatever their case and accents; those first
 * that have them all in their title. At most `limit`. Others have their turn in between.
 */
export async function searchList(
  tracks: readonly CatalogueTrack[],
  words: string,
  limit: number,
): Promise<CatalogueTrack[]> {
  const wanted = plain(words).split(" ").filter(Boolean);
  const slice = new TimeSlice();
  const byTitle: CatalogueTrack[] = [];
  const others: CatalogueTrack[] = [];
  for (const track of tracks) {
    if (slice.isOver) await slice.pause();
    const title = plain(track.title ?? track.id);
    const all = `${title}\n${plain(track.artist ?? "")}\n${plain(track.album ?? "")}`;
    if (!wanted.every((word) => all.includes(word))) continue;
    const inTitle = wanted.every((word) => title.includes(word));
    (inTitle ? byTitle : others).push(track);
    if (byTitle.length >= limit) break;
  }
  return [...byTitle, ...others].slice(0, limit);
}

function plain(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .toLowerCase()
    .replace(/\s+/g, " ")
    .trim();
}
