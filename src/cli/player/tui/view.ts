import type { TrackKey } from "../../../data-source/data-source.ts";
import { trackKey } from "../../../http/track-path.ts";
import type { PlaybackState } from "../../../player/playback-state.ts";
import { formatLength, formatPercent } from "../../terminal/format.ts";
import type { Screen } from "../../terminal/screen.ts";
import { pad, plain, truncate, widthOf } from "../../terminal/width.ts";
import { written } from "../../track-id.ts";
import type { Known } from "../track-book.ts";
import { byteMap, type Cell } from "./byte-map.ts";
import { fitting, isolated, line, type Part, total } from "./line.ts";
import type { Size } from "./terminal.ts";

/** A track that a search has found. */
export interface Found {
  readonly track: TrackKey;
  /** Its place in the queue, where that is what was found. */
  readonly entry?: number;
  /** Where it was found, in a word. */
  readonly where: string;
}

export interface SearchView {
  readonly text: string;
  readonly found: readonly Found[];
  readonly selected: number;
  /** Some are still looked for. */
  readonly busy: boolean;
}

/** Everything that is to be seen. */
export interface View {
  readonly state: PlaybackState;
  readonly knownOf: (track: TrackKey) => Known;
  readonly defaultSource: string;
  /** The index in the queue of the row that was chosen. */
  readonly selected: number | undefined;
  readonly search: SearchView | undefined;
  readonly help: boolean;
  /** The entries that could not be played. */
  readonly failed: ReadonlySet<number>;
  /** Of the moment: what was just done, or has failed. */
  readonly notice: { readonly text: string; readonly bad: boolean } | undefined;
  /** Epoch ms. */
  readonly now: number;
}

/** Keys, and what they do. */
const HELP: readonly (readonly [keys: string, does: string])[] = [
  ["space", "play, pause"],
  ["← →", "5 s back, on; with Shift 30 s"],
  ["0 … 9", "to that tenth of the track"],
  ["n  p", "next, previous track"],
  ["s", "shuffle"],
  ["r", "repeat: off, all, one"],
  ["a", "add similar tracks at the end of the queue, or not"],
  ["+  -", "louder, softer"],
  ["/", "search the queue and the catalogue"],
  ["↑ ↓", "choose in the queue; also Page Up, Page Down, Home, End"],
  ["enter", "play what is chosen"],
  ["d", "take it out of the queue"],
  ["q", "quit"],
];

interface Hint {
  readonly keys: string;
  readonly does: string;
  /** Where there is no room for all, those with the highest number go. */
  readonly rank: number;
}

const HINTS: readonly Hint[] = [
  { keys: "space", does: "pause", rank: 0 },
  { keys: "← →", does: "seek", rank: 3 },
  { keys: "n", does: "next", rank: 2 },
  { keys: "p", does: "previous", rank: 5 },
  { keys: "s", does: "shuffle", rank: 6 },
  { keys: "r", does: "repeat", rank: 6 },
  { keys: "+ -", does: "volume", rank: 6 },
  { keys: "/", does: "search", rank: 4 },
  { keys: "?", does: "help", rank: 1 },
  { keys: "q", does: "quit", rank: 0 },
];
const SEARCH_HINTS: readonly Hint[] = [
  { keys: "enter", does: "play", rank: 0 },
  { keys: "tab", does: "add to the queue", rank: 1 },
  { keys: "↑ ↓", does: "choose", rank: 2 },
  { keys: "esc", does: "close", rank: 0 },
];

/** The same in ASCII. */
const ASCII: Readonly<Record<string, string>> = {
  "▶": ">",
  "❚❚": "||",
  "…": "~",
  "■": "[]",
  "›": ">",
  "━": "=",
  "●": "o",
  "─": "-",
  "✓": "#",
  "◐": "=",
  "✗": "x",
  "▀": "#",
  "▘": "=",
  "▸": "-",
  "·": ".",
  "–": "-",
  "← →": "<- ->",
  "↑ ↓": "up down",
  "0 … 9": "0 to 9",
};
const CELLS: Readonly<Record<Cell, string>> = { "#": "▀", "=": "▘", "-": "▸", ".": "·" };
/** The title, the artist, the time, the map and the legend, with the lines between them. */
const MIN_ROWS = 3;

/** The lines of a screen of this size: as many as it has, none wider. */
export function viewOf(view: View, { width, height }: Size, screen: Screen): string[] {
  const draw = new Drawing(view, width, screen);
  const top = draw.nowPlaying(height);
  const foot = height >= top.length + MIN_ROWS + 2 ? ["", draw.keys()] : [];
  const room = height - top.length - foot.length;
  const middle = draw.below(room);
  const blank = Array.from({ length: Math.max(0, room - middle.length) }, () => "");
  return [...top, ...middle, ...blank, ...foot].slice(0, height);
}

class Drawing {
  readonly #view: View;
  readonly #width: number;
  readonly #screen: Screen;
  readonly #margin: number;

  constructor(view: View, width: number, screen: Screen) {
    this.#view = view;
    this.#width = width;
    this.#screen = screen;
    this.#margin = width >= 60 ? 2 : width >= 30 ? 1 : 0;
  }

  /** What plays, in as many lines as the screen can spare. */
  nowPlaying(height: number): string[] {
    const [title, by] = this.#names();
    const time = this.#time();
    const all = [this.#header(), "", title, by, "", ...time, "", this.#said(), ""];
    if (height >= 20) return all;
    const [bar, map] = time;
    if (height >= 14) return [this.#header(), title, by, bar, map, this.#said(), ""];
    if (height >= 9) return [title, by, bar, map, this.#said()];
    return [title, bar, this.#said()].slice(0, Math.max(1, height));
  }

  /** The queue, what was found, or the help. */
  below(room: number): string[] {
    const { search, help } = this.#view;
    if (room < 1) return [];
    if (help) return this.#help(room);
    return search === undefined ? this.#queue(room) : this.#search(search, room);
  }

  keys(): string {
    const { dim, bold } = this.#screen;
    const { search, state } = this.#view;
    const hints = search === undefined ? HINTS : SEARCH_HINTS;
    const playing = state.status === "playing" || state.status === "loading" || state.status === "waiting";
    const lineOf = (shown: readonly Hint[]): Part[] =>
      shown.flatMap(({ keys, does }, index) => [
        { text: index === 0 ? "" : "   " },
        { text: this.#glyph(keys), style: bold },
        { text: ` ${does === "pause" && !playing ? "play" : does}`, style: dim },
      ]);
    const ranks = [...new Set(hints.map(({ rank }) => rank))].toSorted((one, other) => other - one);
    const lines = ranks.map((most) => lineOf(hints.filter(({ rank }) => rank <= most)));
    return this.#line(lines.find((parts) => total(parts) <= this.#inner) ?? lines.at(-1) ?? []);
  }

  get #inner(): number {
    return Math.max(1, this.#width - 2 * this.#margin);
  }

  #glyph(glyph: string): string {
    return this.#screen.unicode ? glyph : (ASCII[glyph] ?? glyph);
  }

  #line(left: readonly Part[], right: readonly Part[] = []): string {
    return line(left, right, { width: this.#width, margin: this.#margin });
  }

  #header(): string {
    const { bold, dim, cyan } = this.#screen;
    const { shuffle, repeat, volume } = this.#view.state;
    const mode = (on: boolean, text: string): Part[] => [{ text, style: on ? cyan : dim }];
    const modes = [
      mode(shuffle, `shuffle ${shuffle ? "on" : "off"}`),
      mode(repeat !== "off", `repeat ${repeat}`),
      mode(volume < 100, `volume ${Math.round(volume)}%`),
    ];
    return this.#line([{ text: "Afterbay", style: bold }], fitting(modes, this.#inner - "Afterbay  ".length, "   "));
  }

  #names(): [title: string, by: string] {
    const { bold, dim } = this.#screen;
    const { state, knownOf } = this.#view;
    const current = state.queue[state.index];
    if (current === undefined) {
      const empty = state.queue.length === 0;
      const hint = empty ? "Press / to look for something to play" : "Press space to play the queue";
      return [
        this.#line([{ text: empty ? "The queue is empty" : "Nothing plays", style: bold }]),
        this.#line([{ text: hint, style: dim }]),
      ];
    }
    const known = knownOf(current);
    const by = [known.artist, known.album].flatMap((part) => (part === undefined || part === "" ? [] : [plain(part)]));
    return [
      this.#line([{ text: isolated(this.#title(current)), style: bold }]),
      this.#line([{ text: by.map(isolated).join(` ${this.#glyph("·")} `), style: dim }]),
    ];
  }

  #title(track: TrackKey): string {
    const { knownOf, defaultSource } = this.#view;
    const title = plain(knownOf(track).title ?? "");
    return title === "" ? written(trackKey(track.source, track.id), defaultSource) : title;
  }

  /** The time line, and below it, cell by cell, what is there of the bytes. */
  #time(): [bar: string, map: string] {
    const { cyan, dim, bold } = this.#screen;
    const { state, knownOf } = this.#view;
    const current = state.queue[state.index];
    const known = current === undefined ? {} : knownOf(current);
    const durationMs = state.durationMs ?? known.durationMs;
    const at = formatLength(Math.floor(state.positionMs / 1000) * 1000);
    const length = durationMs === undefined ? "-:--" : formatLength(durationMs);
    // It must not move when the time does.
    const elapsed = at.padStart(length.length);
    const sign = pad(this.#glyph(signOf(state)), 2);
    const share = this.#share(known);
    const right = Math.max(length.length, "100%".length);
    const room = this.#inner - sign.length - elapsed.length - right - 3;
    if (room < 5) return [this.#line([{ text: `${sign} ${at} / ${length}` }]), ""];
    const fraction = durationMs === undefined || durationMs === 0 ? 0 : Math.min(1, state.positionMs / durationMs);
    const head = Math.min(room - 1, Math.floor(fraction * room));
    const bar = [
      { text: `${sign} `, style: bold },
      { text: `${elapsed} ` },
      { text: this.#glyph("━").repeat(head), style: cyan },
      { text: this.#glyph("●"), style: cyan },
      { text: this.#glyph("─").repeat(room - head - 1), style: dim },
      { text: ` ${length.padStart(right)}`, style: dim },
    ];
    const map = [
      { text: " ".repeat(sign.length + 1 + elapsed.length + 1) },
      ...this.#cells(byteMap(known, room)),
      { text: ` ${share.padStart(right)}`, style: dim },
    ];
    return [this.#line(bar), this.#line(current === undefined ? [] : map)];
  }

  #share({ complete, size, cachedBytes = 0 }: Known): string {
    if (complete === true) return "100%";
    return size === undefined ? "" : formatPercent(cachedBytes, size);
  }

  /** Runs of cells of one kind. */
  #cells(cells: readonly Cell[]): Part[] {
    const runs = cells.join("").match(/#+|=+|-+|\.+/g) ?? [];
    return runs.map((run) => {
      const cell = run.charAt(0) as Cell;
      return { text: this.#glyph(CELLS[cell]).repeat(run.length), style: this.#styleOf(cell) };
    });
  }

  #styleOf(cell: Cell): (text: string) => string {
    const { green, magenta, dim } = this.#screen;
    if (cell === "#" || cell === "=") return green;
    return cell === "-" ? magenta : dim;
  }

  /** The most urgent of what there is to say; where there is nothing, what the map means. */
  #said(): string {
    const { dim, red, green, magenta } = this.#screen;
    const { state, notice, now } = this.#view;
    if (state.error !== undefined) return this.#line([{ text: sentence(state.error.message), style: red }]);
    if (state.waiting !== undefined) {
      const seconds = Math.max(0, Math.ceil((state.waiting.retryAt - now) / 1000));
      const again = seconds === 0 ? "trying again" : `trying again in ${seconds} s`;
      return this.#line([{ text: `${sentence(state.waiting.message)}; ${again}`, style: magenta }]);
    }
    if (notice !== undefined) return this.#line([{ text: notice.text, style: notice.bad ? red : dim }]);
    if (state.status === "ended")
      return this.#line([{ text: "The queue is through; space plays it again", style: dim }]);
    if (state.index < 0) return "";
    const legend: readonly (readonly [string, (text: string) => string, string])[] = [
      [this.#glyph(CELLS["#"]), green, "cached"],
      [this.#glyph(CELLS["-"]), magenta, "arriving"],
      [this.#glyph(CELLS["."]), dim, "missing"],
    ];
    const groups = legend.map(([glyph, style, words]) => [
      { text: glyph, style },
      { text: ` ${words}`, style: dim },
    ]);
    const loading = state.loading && !state.paused ? [[{ text: "loading", style: magenta }]] : [];
    return this.#line(fitting([...loading, ...groups], this.#inner, "   "));
  }

  #queue(room: number): string[] {
    const { bold, dim } = this.#screen;
    const { state, selected } = this.#view;
    const { queue, index } = state;
    if (queue.length === 0) return [];
    const place = index < 0 ? `${queue.length}` : `${index + 1} of ${queue.length}`;
    const head = this.#line([
      { text: "Queue", style: bold },
      { text: `  ${place}`, style: dim },
    ]);
    const rows = room - 1;
    const [first, last] = windowOf(queue.length, selected ?? Math.max(0, index), rows, selected === undefined);
    const digits = String(last).length;
    const shown = queue.slice(first, last);
    const lengthWidth = this.#lengthWidth(shown);
    const lines = shown.map((entry, offset) => {
      const at = first + offset;
      return this.#row(entry, {
        number: String(at + 1).padStart(digits),
        lengthWidth,
        hasFailed: this.#view.failed.has(entry.entry),
        isCurrent: at === index,
        isSelected: at === selected,
      });
    });
    return room < 2 ? [head] : [head, ...lines];
  }

  #search({ text, found, selected, busy }: SearchView, room: number): string[] {
    const { bold, dim } = this.#screen;
    const count = found.length === 0 ? "" : `${Math.min(selected + 1, found.length)} of ${found.length}`;
    const head = this.#line(
      [{ text: "/ ", style: bold }, { text: tail(text, this.#inner - 16) }, { text: this.#screen.unicode ? "▏" : "_" }],
      [{ text: busy ? "looking…" : count, style: dim }],
    );
    if (found.length === 0) {
      const none = busy ? "" : text === "" ? "The catalogue is empty" : "Nothing found";
      return [head, this.#line([{ text: none, style: dim }])];
    }
    const [first, last] = windowOf(found.length, selected, room - 1, false);
    const shown = found.slice(first, last);
    const lengthWidth = this.#lengthWidth(shown.map(({ track }) => track));
    const lines = shown.map(({ track, where }, offset) =>
      this.#row(track, { where, lengthWidth, isCurrent: false, isSelected: first + offset === selected }),
    );
    return [head, ...lines];
  }

  #lengthOf(track: TrackKey): string {
    const { durationMs } = this.#view.knownOf(track);
    return durationMs === undefined ? "" : formatLength(durationMs);
  }

  #lengthWidth(tracks: readonly TrackKey[]): number {
    return Math.max(5, ...tracks.map((track) => this.#lengthOf(track).length));
  }

  #row(
    track: TrackKey,
    row: {
      readonly number?: string;
      readonly where?: string;
      readonly lengthWidth: number;
      readonly hasFailed?: boolean;
      readonly isCurrent: boolean;
      readonly isSelected: boolean;
    },
  ): string {
    const { bold, dim, cyan, green, red, inverse } = this.#screen;
    const { hasFailed = false, isCurrent, isSelected } = row;
    const known = this.#view.knownOf(track);
    const sign = isSelected ? "›" : isCurrent ? "▶" : " ";
    const length = this.#lengthOf(track).padStart(row.lengthWidth);
    const mark = hasFailed ? "✗" : known.complete === true ? "✓" : (known.cachedBytes ?? 0) > 0 ? "◐" : " ";
    const lead = `${this.#glyph(sign)} ${row.number === undefined ? "" : `${row.number}  `}`;
    const where = row.where === undefined || this.#inner < 60 ? "" : `  ${pad(truncate(row.where, 9), 9)}`;
    const end = `${where}  ${length} ${this.#glyph(mark)}`;
    const room = Math.max(1, this.#inner - widthOf(lead) - widthOf(end));
    const artist = plain(known.artist ?? "");
    const titleWidth = artist === "" || room < 30 ? room : Math.ceil(room * 0.58);
    const byWidth = room - titleWidth - 2;
    const title = pad(isolated(truncate(this.#title(track), titleWidth)), titleWidth);
    const by = titleWidth === room ? "" : `  ${pad(isolated(truncate(artist, byWidth)), byWidth)}`;
    if (isSelected) {
      const all = [lead, title, by, end].join("");
      return this.#line([{ text: all, style: inverse }]);
    }
    return this.#line([
      { text: lead, style: isCurrent ? cyan : dim },
      { text: title, style: isCurrent ? bold : plainly },
      { text: by, style: isCurrent ? cyan : dim },
      { text: end.slice(0, -1), style: isCurrent ? cyan : dim },
      { text: end.slice(-1), style: hasFailed ? red : green },
    ]);
  }

  #help(room: number): string[] {
    const { bold, dim } = this.#screen;
    const lines = HELP.map(([keys, does]) =>
      this.#line([
        { text: pad(this.#glyph(keys), 8), style: bold },
        { text: does, style: dim },
      ]),
    );
    return [this.#line([{ text: "Keys", style: bold }]), ...lines].slice(0, room);
  }
}

function plainly(text: string): string {
  return text;
}

function signOf({ status, paused, loading }: PlaybackState): string {
  if (status === "stopped" || status === "ended") return "■";
  if (paused) return "❚❚";
  return loading ? "…" : "▶";
}

/** The rows to show, so that one of them is: near the top where it may stay, else just in sight. */
function windowOf(length: number, at: number, rows: number, ahead: boolean): [first: number, last: number] {
  if (rows < 1) return [0, 0];
  // What comes is of more interest than what was.
  const before = ahead ? Math.min(2, Math.floor(rows / 4)) : Math.floor(rows / 2);
  const first = Math.max(0, Math.min(at - before, length - rows));
  return [first, Math.min(length, first + rows)];
}

/** The end of what was typed, where there is no room for all of it. */
function tail(text: string, width: number): string {
  const shown = plain(text) + (text.endsWith(" ") ? " " : "");
  let cut = shown;
  while (widthOf(cut) > Math.max(1, width)) cut = cut.slice(1);
  return cut;
}

function sentence(text: string): string {
  // A program keeps its name.
  if (text.startsWith("mpv ")) return plain(text);
  return text.charAt(0).toUpperCase() + plain(text).slice(1);
}
