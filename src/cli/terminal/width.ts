/** How wide text is on a terminal. Good enough for names of songs in any script; no terminal agrees with another on emoji. */

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const ASCII = /^[ -~]*$/;
/** East Asian Wide and Fullwidth (UAX #11), in the blocks that fonts have. */
const WIDE =
  /^(?:[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE10-\uFE19\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6\u{1F200}-\u{1F2FF}\u{20000}-\u{3FFFD}]|\p{Emoji_Presentation})/u;
const EMOJI_STYLE = "\uFE0F";
const INVISIBLE = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
/** Controls would steer the terminal; marks of direction would reorder the rest of the line. */
const UNFIT = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200E\u200F\u202A-\u202E\u2066-\u2069]+/gu;

/** Columns. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += cellsOf(segment);
  return width;
}

/** `text` in at most `width` columns, with an ellipsis in place of what is left out. */
export function truncate(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width < 1) return "";
  let kept = "";
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    used += cellsOf(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return `${kept.trimEnd()}…`;
}

/** Fills up with spaces, on the right or on the left. */
export function pad(text: string, width: number, align: "left" | "right" = "left"): string {
  const space = " ".repeat(Math.max(0, width - widthOf(text)));
  return align === "left" ? text + space : space + text;
}

/** What came from elsewhere, made fit for one line of a terminal. */
export function plain(text: string): string {
  return text.replaceAll(UNFIT, " ").trim();
}

function cellsOf(grapheme: string): number {
  if (WIDE.test(grapheme) || grapheme.includes(EMOJI_STYLE)) return 2;
  return INVISIBLE.test(grapheme) ? 0 : 1;
}
