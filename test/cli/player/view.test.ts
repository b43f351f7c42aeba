import { describe, expect, test } from "vitest";
import { byteMap } from "../../../src/cli/player/tui/byte-map.ts";
import { viewOf, type View } from "../../../src/cli/player/tui/view.ts";
import type { Known } from "../../../src/cli/player/track-book.ts";
import { screenOf } from "../../../src/cli/terminal/screen.ts";
import { widthOf } from "../../../src/cli/terminal/width.ts";
import type { PlaybackState } from "../../../src/player/playback-state.ts";

const ESC = "\x1b";
const STYLES = new RegExp(`${ESC}\\[\\d*m`, "g");

const TRACKS: Readonly<Record<string, Known>> = {
  plain: { title: "A plain title", artist: "Someone", album: "Once", durationMs: 185_000, complete: true, size: 100 },
  long: { title: "A title that goes on ".repeat(9), artist: "An orchestra of many names ".repeat(4), cachedBytes: 5 },
  wide: {
    title: "夜に駆ける　そして終わらない長い歌のタイトル",
    artist: "ＹＯＡＳＯＢＩ と 仲間たち",
    durationMs: 3_725_000,
  },
  emoji: { title: "🎉🎶 Party 👩‍👩‍👧‍👦 time ❤️ 🇩🇪", artist: "DJ 🤖" },
  rtl: { title: "שיר ארוך מאוד על הים", artist: "أغنية طويلة 123", durationMs: 60_000 },
  evil: { title: `Red${ESC}[31m \u202Ednal\u0007\n`, artist: "\u009b2J" },
};

function viewWith(ids: readonly string[], state: Partial<PlaybackState> = {}, rest: Partial<View> = {}): View {
  const queue = ids.map((id, index) => ({ entry: index + 1, source: "s", id }));
  return {
    state: {
      status: "playing",
      queue,
      index: queue.length === 0 ? -1 : 0,
      positionMs: 61_000,
      durationMs: 185_000,
      paused: false,
      loading: false,
      volume: 80,
      shuffle: true,
      repeat: "all",
      normalize: true,
      waiting: undefined,
      error: undefined,
      ...state,
    },
    knownOf: ({ id }) => TRACKS[id] ?? {},
    defaultSource: "s",
    selected: undefined,
    search: undefined,
    help: false,
    failed: new Set(),
    notice: undefined,
    now: 0,
    ...rest,
  };
}

const screen = (env: Record<string, string> = {}, columns = 80) =>
  screenOf({ write() {}, isTTY: true, columns }, { LANG: "C.UTF-8", ...env });
const drawn = (view: View, width = 80, height = 24): string[] =>
  viewOf(view, { width, height }, screen({ NO_COLOR: "1" }));

describe("the view", () => {
  test("shows what plays, where it is, what is cached, and the queue", () => {
    const view = viewWith(["plain", "wide"]);
    expect(drawn(view, 60, 16)).toEqual([
      "  Afterbay            shuffle on   repeat all   volume 80%",
      "  A plain title",
      "  Someone · Once",
      "  ▶  1:01 ━━━━━━━━━━━━━━●──────────────────────────── 3:05",
      "          ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀ 100%",
      "  ▀ cached   ▸ arriving   · missing",
      "",
      "  Queue  1 of 2",
      "  ▶ 1  A plain title             Someone            3:05 ✓",
      "    2  夜に駆ける　そして終わ…   ＹＯＡＳＯＢ…   1:02:05  ",
      ...["", "", "", "", ""],
      "  space pause   ← → seek   n next   ? help   q quit",
    ]);
  });

  const everything = Object.keys(TRACKS);
  const found = everything.map((id) => ({ track: { source: "s", id }, where: "catalogue" }));
  test.each<[string, View]>([
    ["everything at once", viewWith(everything)],
    ["a choice", viewWith(everything, {}, { selected: 3 })],
    ["nothing", viewWith([], { status: "stopped", durationMs: undefined, positionMs: 0 })],
    ["an unknown length", viewWith(["emoji"], { durationMs: undefined, loading: true })],
    ["help", viewWith(everything, {}, { help: true })],
    ["a search", viewWith(everything, {}, { search: { text: "ü 夜".repeat(40), found, selected: 2, busy: false } })],
    ["an empty search", viewWith(everything, {}, { search: { text: "", found: [], selected: 0, busy: true } })],
    ["an error", viewWith(everything, { status: "stopped", error: { code: "x", message: "why ".repeat(60) } })],
    ["a wait", viewWith(everything, { waiting: { code: "offline", message: "away", retryAt: 3500 } })],
    ["a notice", viewWith(["long"], {}, { notice: { text: "夜".repeat(90), bad: true } })],
  ])("fits any terminal: %s", (_, view) => {
    for (const [width, height] of [
      [120, 40],
      [80, 24],
      [60, 15],
      [40, 10],
      [30, 9],
      [20, 5],
      [8, 3],
      [1, 1],
    ] as const) {
      const envs: Record<string, string>[] = [{}, { NO_COLOR: "1" }, { LANG: "C" }];
      for (const env of envs) {
        const lines = viewOf(view, { width, height }, screen(env, width));
        expect(lines).toHaveLength(height);
        for (const line of lines) {
          const bare = line.replaceAll(STYLES, "");
          expect([bare, widthOf(bare) <= width]).toEqual([bare, true]);
          expect(bare).not.toMatch(/[\p{Cc}\u202E]/u);
          if ("NO_COLOR" in env) expect(line).toBe(bare);
        }
      }
    }
  });

  test("is ASCII where the terminal knows nothing else", () => {
    const lines = viewOf(
      viewWith(["plain"], { paused: true, status: "paused" }),
      { width: 80, height: 24 },
      screen({ LANG: "C" }),
    );
    expect(lines.join("\n").replaceAll(STYLES, "")).toMatch(/^[\n -~]*$/);
    expect(lines.join("\n")).toContain("||");
  });

  test("marks what is whole, begun, or could not be played", () => {
    const rows = drawn(viewWith(["plain", "long", "rtl"], {}, { failed: new Set([3]) }));
    expect(rows.slice(11, 14).map((line) => line.trimEnd().at(-1))).toEqual(["✓", "◐", "✗"]);
  });

  test("keeps the row in sight that plays or is chosen, among 10,000", () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => `t${index}`);
    const rows = (view: View): string[] => drawn(view).filter((line) => / t\d+ /.test(line));
    const playing = rows(viewWith(ids, { index: 5000 }));
    expect(playing.findIndex((line) => line.includes("▶"))).toBe(2);
    expect(playing[2]).toMatch(/▶ 5001 {2}t5000 /);
    expect(rows(viewWith(ids, { index: 0 }, { selected: 9999 })).at(-1)).toMatch(/› 10000 {2}t9999 /);
    expect(rows(viewWith(ids, { index: 9999 })).at(-1)).toMatch(/▶ 10000 {2}t9999 /);
  });

  test("says the most urgent thing: an error, what is waited for, what was done", () => {
    const said = (view: View): string => drawn(view)[8] ?? "";
    const notice = { text: "Added x", bad: false };
    const waiting = { code: "offline", message: "the source cannot be reached", retryAt: 3500 };
    const error = { code: "player", message: "mpv ended" };
    expect(said(viewWith(["plain"]))).toBe("  ▀ cached   ▸ arriving   · missing");
    expect(said(viewWith(["plain"], {}, { notice }))).toBe("  Added x");
    expect(said(viewWith(["plain"], { waiting }, { notice }))).toBe(
      "  The source cannot be reached; trying again in 4 s",
    );
    expect(said(viewWith(["plain"], { waiting, error }, { notice }))).toBe("  mpv ended");
  });
});

describe("the map", () => {
  const half = { size: 100, complete: false, chunkSize: 50, cachedBytes: 25 };
  test.each<[string, Known, number, string]>([
    ["nothing known", {}, 3, "..."],
    ["whole", { complete: true }, 3, "###"],
    ["whole, without a size", { complete: true, chunks: "" }, 2, "##"],
    ["a beginning, the rest of its chunk arriving", { ...half, spans: [[0, 25]], chunks: "-." }, 4, "#-.."],
    [
      "parts",
      {
        ...half,
        spans: [
          [0, 10],
          [60, 70],
        ],
        chunks: "==",
      },
      4,
      "=.=.",
    ],
    ["more cells than bytes", { ...half, size: 2, chunkSize: 2, spans: [[0, 1]], chunks: "=" }, 4, "##.."],
    ["no bytes", { size: 0, complete: false }, 2, ".."],
  ])("shows %s", (_, known, width, cells) => {
    expect(byteMap(known, width).join("")).toBe(cells);
  });
});
