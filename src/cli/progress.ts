import type { PrefetchState } from "./control/answers.ts";
import type { Io } from "./io.ts";
import { bar } from "./terminal/bar.ts";
import { count, formatPercent, formatSize } from "./terminal/format.ts";
import { LiveRegion } from "./terminal/live-region.ts";
import { type Screen, screenOf } from "./terminal/screen.ts";
import { pad, truncate, widthOf } from "./terminal/width.ts";
import { written } from "./track-id.ts";

/** Shows how the fetching of tracks goes. */
export interface Progress {
  update(states: readonly PrefetchState[]): void;
  /** Takes away what is only of the moment. */
  end(): void;
}

export interface ProgressOptions {
  readonly defaultSource: string;
  /** What has become of a track: "cached", "pinned". */
  readonly verb: string;
}

/** Bars at once: those of tracks on their way. */
const MAX_BARS = 4;
const MAX_BAR_WIDTH = 30;
const MIN_BAR_WIDTH = 6;
const MAX_NAME_WIDTH = 30;
/** Of "1023 MiB", so that bars stand below each other. */
const SIZE_WIDTH = 8;

/** Bars on a terminal; elsewhere a line for each track that is done. Failures are told by whoever waits. */
export function createProgress(io: Io, { defaultSource, verb }: ProgressOptions): Progress {
  const screen = screenOf(io.stdout, io.env);
  const region = screen.live ? new LiveRegion(io.stdout) : undefined;
  const print = (line: string): void => (region === undefined ? void io.stdout.write(`${line}\n`) : region.print(line));
  const told = new Set<string>();
  const speed = createSpeed();
  return {
    update(states) {
      for (const { key, state, cachedBytes } of states) {
        if (state !== "done" || told.has(key)) continue;
        told.add(key);
        const size = cachedBytes === undefined ? "" : `, ${formatSize(cachedBytes)}`;
        print(`${screen.green(verb)} ${written(key, defaultSource)}${size}`);
      }
      region?.show(liveLines(states, screen, { defaultSource, width: io.stdout.columns ?? 80, speed }));
    },
    end: () => region?.clear(),
  };
}

interface View {
  readonly defaultSource: string;
  readonly width: number;
  readonly speed: (bytes: number) => number | undefined;
}

function liveLines(states: readonly PrefetchState[], screen: Screen, { defaultSource, width, speed }: View): string[] {
  const open = states.filter(({ state }) => state === "fetching" || state === "waiting");
  const bars = [...open.filter(({ state }) => state === "fetching")].slice(0, MAX_BARS);
  const known = states.filter(({ cachedBytes }) => cachedBytes !== undefined);
  const total = known.reduce((sum, { cachedBytes = 0 }) => sum + cachedBytes, 0);
  const rate = known.length === 0 ? undefined : speed(total);
  if (open.length === 0) return [];
  const names = bars.map(({ key }) => written(key, defaultSource));
  const nameWidth = Math.min(MAX_NAME_WIDTH, Math.floor(width / 3), Math.max(0, ...names.map(widthOf)));
  const left = `${count(open.length, "track")} to go${rate === undefined ? "" : `, ${formatSize(Math.round(rate))}/s`}`;
  return [
    ...bars.map((state, index) =>
      barLine(pad(truncate(names[index] ?? "", nameWidth), nameWidth), state, screen, width),
    ),
    left,
  ];
}

function barLine(name: string, { size, cachedBytes }: PrefetchState, screen: Screen, width: number): string {
  if (cachedBytes === undefined) return name;
  if (size === undefined || size === 0) return `${name}  ${formatSize(cachedBytes)}`;
  const facts = `${formatPercent(cachedBytes, size).padStart(4)}  ${formatSize(size).padStart(SIZE_WIDTH)}`;
  const room = Math.min(MAX_BAR_WIDTH, width - 1 - widthOf(name) - facts.length - 4);
  return room < MIN_BAR_WIDTH
    ? `${name} ${facts}`
    : `${name}  ${bar(cachedBytes / size, room, screen.unicode)}  ${facts}`;
}

/** Over how long the speed is taken, ms: long enough to be read. */
const SPEED_WINDOW_MS = 3000;

/** Bytes a second of late; undefined before that is known. */
function createSpeed(): View["speed"] {
  const samples: { at: number; bytes: number }[] = [];
  return (bytes) => {
    const at = performance.now();
    samples.push({ at, bytes });
    while (samples.length > 2 && at - (samples[0]?.at ?? at) > SPEED_WINDOW_MS) samples.shift();
    const [first] = samples;
    if (first === undefined || at - first.at < SPEED_WINDOW_MS / 6) return undefined;
    return Math.max(0, ((bytes - first.bytes) * 1000) / (at - first.at));
  };
}

/** A line of JSON for every change of a track's state, and of its bytes now and then. */
export function createJsonProgress(io: Io): Progress {
  const last = new Map<string, string>();
  return {
    update(states) {
      for (const state of states) {
        const line = JSON.stringify(state);
        if (last.get(state.key) === line) continue;
        last.set(state.key, line);
        io.stdout.write(`${line}\n`);
      }
    },
    end() {},
  };
}

/** Why a fetch failed, in words. */
export function failureWords(code: string): string {
  return WORDS[code] ?? code;
}

const WORDS: Readonly<Record<string, string>> = {
  "not-found": "the source has no such track",
  unplayable: "this track cannot be played",
  "upstream-failed": "the source did not deliver the track",
  "upstream-timeout": "the source took too long",
  offline: "the source cannot be reached",
  "no-space": "there is no room for it in the cache",
  "circuit-open": "the source fails for all tracks just now",
  cancelled: "it was taken off the list",
};
