import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Track } from "../../../src/cli/control/answers.ts";
import type { Io } from "../../../src/cli/io.ts";
import { HeldOutput } from "../../../src/cli/player/held-output.ts";
import { TrackBook } from "../../../src/cli/player/track-book.ts";
import { Tui } from "../../../src/cli/player/tui/app.ts";
import { catalogueFinder, queueFinder } from "../../../src/cli/player/tui/finders.ts";
import { keysOf } from "../../../src/cli/player/tui/keys.ts";
import { Playback } from "../../../src/player/playback.ts";
import { FakeDriver } from "../../player/fake-driver.ts";
import { eventually as within } from "../../helpers/process.ts";

const ESC = "\x1b";
const ENTER = `${ESC}[?1049h`;
const LEAVE = `${ESC}[?1049l`;

/** A terminal that keeps what is on its screen. */
class FakeTerminal extends EventEmitter {
  readonly isTTY = true;
  columns = 80;
  rows = 24;
  written = "";
  /** What a write answers. */
  ready = true;
  screen: string[] = [];

  write(text: string): boolean {
    this.written += text;
    for (const [, row, line = ""] of text.matchAll(new RegExp(`${ESC}\\[(\\d+);1H${ESC}\\[2K([^${ESC}]*)`, "g"))) {
      this.screen[Number(row) - 1] = line;
    }
    return this.ready;
  }
}

let terminal: FakeTerminal;
let signals: EventEmitter;
let stdin: PassThrough & { isTTY: boolean; setRawMode: (raw: boolean) => void };
let raw: boolean[];
let driver: FakeDriver;
let playback: Playback;
let tui: Tui;
let left: boolean;
let auto: { enabled: boolean };

/** However busy the machine is. */
const eventually = (assertion: () => void): Promise<void> => within(assertion, { timeoutMs: 15_000 });
const track = (id: string, title: string, artist = ""): Track =>
  ({ source: "s", id, key: `s/${id}`, title, artist, durationMs: 100_000, cachedBytes: 0, complete: false }) as Track;
const catalogue = [
  track("a", "Alpha", "The Ones"),
  track("b", "Béta", "The Twos"),
  track("c", "Gamma", "Alphabet"),
  track("d", "Delta"),
];

beforeEach(() => {
  terminal = new FakeTerminal();
  signals = new EventEmitter();
  raw = [];
  stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => void raw.push(on) });
  driver = new FakeDriver();
  playback = new Playback({ driver, urlFor: ({ id }) => `http://proxy/${id}`, outcomeOf: () => undefined });
  playback.add(["a", "b"].map((id) => ({ source: "s", id })));
  playback.play();
  driver.begin();
  const io = {
    env: { NO_COLOR: "1", LANG: "C.UTF-8" },
    stdin,
    stdout: terminal,
    stderr: terminal,
    signals,
  } as Partial<Io>;
  const book = new TrackBook(
    async (key) => catalogue.find((one) => one.key === key),
    () => tui.update(),
  );
  const finders = [queueFinder(playback, book), catalogueFinder(async () => catalogue, book)];
  auto = { enabled: false };
  tui = new Tui({ io: io as Io, playback, auto, book, finders, defaultSource: "s" });
  left = false;
  void tui.left.then(() => (left = true));
});
afterEach(async () => {
  tui.close();
  await playback.close();
});

const type = (...keys: string[]): void => {
  for (const key of keys) stdin.write(key);
};
const shows = (text: string | RegExp): Promise<void> =>
  eventually(() => expect(terminal.screen.join("\n")).toMatch(text));

describe("the terminal player", () => {
  test("shows what plays, and does what is typed", async () => {
    await shows(/Alpha\nThe Ones|Alpha/);
    driver.at(50_000);
    type(" ");
    await eventually(() => expect(playback.state.status).toBe("paused"));
    await shows("❚❚");
    type(" ", "+", "-", "-", "s", "r", `${ESC}[C`);
    await eventually(() =>
      expect(playback.state).toMatchObject({ volume: 90, shuffle: true, repeat: "all", positionMs: 55_000 }),
    );
    await shows(/shuffle on +repeat all +volume 90%/);
    type(`${ESC}[1;2D`, "0");
    await eventually(() => expect(playback.state.positionMs).toBe(0));
    type("a");
    await shows("Similar tracks follow");
    expect(auto.enabled).toBe(true);
    type("n");
    await eventually(() => expect(playback.state.index).toBe(1));
    type("p");
    await eventually(() => expect(playback.state.index).toBe(0));
    type("q");
    await eventually(() => expect(left).toBe(true));
  });

  test("plays or takes out what is chosen in the queue", async () => {
    type(`${ESC}[B`);
    await shows("› 2");
    type("\r");
    await eventually(() => expect(playback.state.index).toBe(1));
    type(`${ESC}[A`, "d");
    await eventually(() => expect(playback.state.queue.map(({ id }) => id)).toEqual(["b"]));
    type("d", "d");
    await shows("The queue is empty");
  });

  test("finds in the queue and in the catalogue, whatever the accents; titles come first", async () => {
    type("/", "A", "l", "p", "h");
    await shows(/\/ Alph▏ +1 of 3\n.*› Alpha .*queue.*\n.*Alpha .*catalogue.*\n.*Gamma +Alphabet +catalogue/);
    type(`${ESC}[B`, `${ESC}[B`, "\t");
    await eventually(() => expect(playback.state.queue.map(({ id }) => id)).toEqual(["a", "b", "c"]));
    await shows("Added Gamma to the queue");
    type("\x15", "b", "e", "t", "a", "\x7f", "a");
    await shows(/\/ beta▏ +1 of 2/);
    type("\x15", "delta");
    await shows(/\/ delta▏ +1 of 1/);
    type("\r");
    await eventually(() => expect(playback.state).toMatchObject({ index: 1, queue: { length: 4 } }));
    expect(playback.state.queue[1]?.id).toBe("d");
    type("/", "nothing");
    await shows("Nothing found");
    type(ESC);
    await shows("Queue  2 of 4");
    expect(left).toBe(false);
  });

  test("gives the terminal back when it is closed, also twice, and listens to nothing any more", () => {
    expect(terminal.written).toContain(ENTER);
    tui.close();
    tui.close();
    expect(terminal.written.split(LEAVE)).toHaveLength(2);
    expect(terminal.written.endsWith(`${ESC}[?25h${LEAVE}`)).toBe(true);
    expect(raw).toEqual([true, false]);
    expect([...signals.eventNames(), ...terminal.eventNames()]).toEqual([]);
  });

  test.each(["exit", "uncaughtExceptionMonitor"])("gives the terminal back before the process ends: %s", (event) => {
    signals.emit(event, new Error("defect"));
    expect(terminal.written.endsWith(LEAVE)).toBe(true);
    expect(raw).toEqual([true, false]);
    playback.pause();
    expect(terminal.written.endsWith(LEAVE)).toBe(true);
  });

  test("Ctrl-C leaves, also out of a search", async () => {
    type("/", "x", "\x03");
    await eventually(() => expect(left).toBe(true));
  });

  test("stops as other programs do, and is there again", async () => {
    const kill = vi.spyOn(process, "kill").mockReturnValue(true);
    type("\x1a");
    await eventually(() => expect(kill).toHaveBeenCalledWith(process.pid, "SIGTSTP"));
    kill.mockRestore();
    expect(terminal.written.endsWith(LEAVE)).toBe(true);
    terminal.screen = [];
    signals.emit("SIGCONT");
    await shows("Queue  1 of 2");
    expect(raw).toEqual([true, false, true]);
  });

  test("is drawn anew at another size, and only then written as a whole", async () => {
    await shows("Queue  1 of 2");
    Object.assign(terminal, { columns: 40, rows: 10, screen: [] });
    terminal.emit("resize");
    await shows("Queue  1 of 2");
    expect(terminal.screen).toHaveLength(10);
    terminal.written = "";
    driver.at(1100);
    await shows("0:01");
    expect(terminal.written.length).toBeLessThan(200);
  });

  test("a terminal that does not read gets the newest frame when it does", async () => {
    await shows("Queue  1 of 2");
    terminal.ready = false;
    driver.at(1000);
    await shows("0:01");
    const { length } = terminal.written;
    driver.at(2000);
    driver.at(3000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(terminal.written).toHaveLength(length);
    terminal.ready = true;
    terminal.emit("drain");
    await shows("0:03");
  });

  test("says what was skipped, and why it stopped", async () => {
    driver.fail();
    playback.add([{ source: "s", id: "c" }]);
    await vi.waitFor(() => expect(playback.state.status).toBe("waiting"));
    await shows("The server cannot be reached; trying again in 1 s");
    driver.emit({ type: "broken", message: "mpv ended 4 times within a minute" });
    await shows("mpv ended 4 times within a minute");
  });
});

test("what is written meanwhile is there when the terminal is free, the last of it", () => {
  const free = new FakeTerminal();
  const held = new HeldOutput(free);
  for (let line = 1; line <= 300; line += 1) held.write(`${line}\n`);
  expect([free.written, held.isTTY]).toEqual(["", true]);
  held.release();
  held.release();
  expect(free.written.split("\n")).toHaveLength(201);
  expect(free.written.endsWith("\n299\n300\n")).toBe(true);
});

test("keys are read from what a terminal sends", () => {
  const text = `a${ESC}[A${ESC}OB${ESC}[1;2C${ESC}[5~${ESC}[3;2~${ESC}[200~\r\n\t\x7f\x03é😀 ${ESC}[999z${ESC}`;
  expect(keysOf(text)).toEqual([
    ...["a", "up", "down", "shift-right", "pageup", "shift-delete", "enter", "enter", "tab", "backspace", "ctrl-c"],
    ...["é", "😀", "space", "escape"],
  ]);
});
