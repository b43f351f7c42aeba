/** The longest name in bytes; most file systems take 255, and some players add to it. */
const MAX_BYTES = 200;
/** Separators of any system, controls, marks of direction (which disguise extensions), and halves of characters. */
const UNFIT = /[/\\\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200E\u200F\u202A-\u202E\u2066-\u2069\uFFFD]+/gu;
/** Windows has more of them. */
const UNFIT_ON_WINDOWS = /[<>:"|?*]+/g;
const RESERVED_ON_WINDOWS = /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i;

/** A plain file's name for a song: `Artist - Title.ext`, or its id where it has no title. `extension` has no dot. */
export function fileName(
  {
    title,
    artist,
    id,
    extension,
  }: { title?: string | undefined; artist?: string | undefined; id: string; extension: string },
  platform: NodeJS.Platform = process.platform,
): string {
  const name = clean(title ?? "", platform);
  const by = clean(artist ?? "", platform);
  const stem = name === "" ? clean(id, platform) || "track" : by === "" ? name : `${by} - ${name}`;
  const safe = platform === "win32" ? stem.replace(RESERVED_ON_WINDOWS, "_$&") : stem;
  return `${shortened(safe, MAX_BYTES - Buffer.byteLength(extension) - 1)}.${extension}`;
}

function clean(text: string, platform: NodeJS.Platform): string {
  const fit = text.replaceAll(UNFIT, "_");
  const everywhere = platform === "win32" ? fit.replaceAll(UNFIT_ON_WINDOWS, "_") : fit;
  // A leading dot hides a file; dots and spaces at the end are lost on Windows.
  return everywhere
    .replaceAll(/\s+/g, " ")
    .replace(/^[. ]+/, "")
    .replace(/[. ]+$/, "");
}

/** Cut between characters as people see them. */
function shortened(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let kept = "";
  let bytes = 0;
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text)) {
    bytes += Buffer.byteLength(segment);
    if (bytes > maxBytes) break;
    kept += segment;
  }
  return kept.replace(/[. ]+$/, "") || "track";
}
