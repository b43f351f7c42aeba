import type { Playback } from "../../../player/playback.ts";
import { REPEATS } from "../../../player/queue.ts";
import type { Io } from "../../io.ts";
import { screenOf } from "../../terminal/screen.ts";
import { plain } from "../../terminal/width.ts";
import type { TrackBook } from "../track-book.ts";
import type { Finder } from "./finders.ts";
import { Search } from "./search.ts";
import { Terminal } from "./terminal.ts";
import { viewOf } from "./view.ts";

export interface TuiOptions {
  readonly io: Io;
  readonly playback: Playback;
  readonly auto: { enabled: boolean };
  readonly book: TrackBook;
  /** Where `/` looks, in the order in which what is found is shown. */
  readonly finders: readonly Finder[];
  readonly defaultSource: string;
}

/** A frame is drawn this long after what changed, ms: often enough for the eye. */
const FRAME_MS = 40;
/** What was said is shown for this long, ms. */
const NOTICE_MS = 5000;
/** A row that was chosen is let go if no key follows for this long, ms. */
const CHOICE_MS = 20_000;
const SEEK_MS = 5000;
const FAR_SEEK_MS = 30_000;
const VOLUME_STEP = 5;
const PAGE = 10;

/** The player on a terminal: draws what plays, and does what is typed. */
export class Tui {
  readonly #options: TuiOptions;
  readonly #terminal: Terminal;
  readonly #search: Search;
  readonly #quit = settler();
  readonly #unlisten: () => void;
  readonly #failed = new Set<number>();
  #selected: number | undefined;
  #help = false;
  #notice: { readonly text: string; readonly bad: boolean } | undefined;
  #frame: NodeJS.Timeout | undefined;
  #noticeEnd: NodeJS.Timeout | undefined;
  #choiceEnd: NodeJS.Timeout | undefined;
  readonly #ticking: NodeJS.Timeout;

  constructor(options: TuiOptions) {
    this.#options = options;
    this.#terminal = new Terminal(options.io);
    this.#search = new Search(options.finders, () => this.update());
    this.#unlisten = options.playback.listen((event) => {
      const { status, queue, index } = options.playback.state;
      const current = queue[index];
      if (event.type === "state" && status === "playing" && current !== undefined) this.#failed.delete(current.entry);
      if (event.type === "failed") {
        this.#failed.add(event.entry.entry);
        const known = options.book.peek(event.entry);
        this.#say(`Skipped ${plain(known.title ?? event.entry.id)}: ${event.message}`, true);
      }
      this.update();
    });
    // For the seconds until the next try.
    this.#ticking = setInterval(() => {
      if (options.playback.state.waiting !== undefined) this.update();
    }, 500);
    this.#terminal.open({ onKey: (key) => this.#onKey(key), onResize: () => this.#draw() });
    this.#draw();
  }

  /** Settles when its user wants to leave. */
  get left(): Promise<void> {
    return this.#quit.promise;
  }

  /** Something that is shown has changed. */
  update(): void {
    this.#frame ??= setTimeout(() => this.#draw(), FRAME_MS);
  }

  /** Gives the terminal back. */
  close(): void {
    this.#unlisten();
    this.#search.close();
    clearInterval(this.#ticking);
    for (const timer of [this.#frame, this.#noticeEnd, this.#choiceEnd]) clearTimeout(timer);
    this.#terminal.close();
  }

  #draw(): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    const { io, playback, book, defaultSource } = this.#options;
    const view = {
      state: playback.state,
      knownOf: (track: Parameters<TrackBook["get"]>[0]) => book.get(track),
      defaultSource,
      selected: this.#selected,
      search: this.#search.view,
      help: this.#help,
      failed: this.#failed,
      notice: this.#notice,
      now: Date.now(),
    };
    this.#terminal.draw(viewOf(view, this.#terminal.size, screenOf(io.stdout, io.env)));
  }

  #say(text: string, bad: boolean): void {
    this.#notice = { text, bad };
    clearTimeout(this.#noticeEnd);
    this.#noticeEnd = setTimeout(() => {
      this.#notice = undefined;
      this.update();
    }, NOTICE_MS);
  }

  #onKey(key: string): void {
    if (key === "ctrl-c") this.#quit.resolve();
    else if (key === "ctrl-z") this.#terminal.suspend();
    else if (key === "ctrl-l") this.#terminal.wipe();
    else if (this.#search.view !== undefined) this.#onSearchKey(key);
    else if (this.#help) this.#help = false;
    else this.#onPlayerKey(key);
    this.update();
  }

  #onPlayerKey(key: string): void {
    const { playback } = this.#options;
    const { state } = playback;
    if (/^\d$/.test(key)) {
      if (state.durationMs !== undefined) playback.seek((state.durationMs * Number(key)) / 10);
      return;
    }
    switch (key) {
      case "space":
        playback.toggle();
        break;
      case "left":
      case "right":
        playback.seekBy(key === "left" ? -SEEK_MS : SEEK_MS);
        break;
      case "shift-left":
      case "shift-right":
        playback.seekBy(key === "shift-left" ? -FAR_SEEK_MS : FAR_SEEK_MS);
        break;
      case "n":
        playback.next();
        break;
      case "p":
        playback.previous();
        break;
      case "s":
        playback.setShuffle(!state.shuffle);
        break;
      case "r":
        playback.setRepeat(REPEATS[(REPEATS.indexOf(state.repeat) + 1) % REPEATS.length] ?? "off");
        break;
      case "a":
        this.#setAuto(!this.#options.auto.enabled);
        break;
      case "+":
      case "=":
        playback.setVolume(state.volume + VOLUME_STEP);
        break;
      case "-":
        playback.setVolume(state.volume - VOLUME_STEP);
        break;
      case "/":
        this.#search.open();
        break;
      case "?":
      case "h":
        this.#help = true;
        break;
      case "q":
        this.#quit.resolve();
        break;
      default:
        this.#onQueueKey(key);
    }
  }

  #setAuto(enabled: boolean): void {
    this.#options.auto.enabled = enabled;
    this.#say(enabled ? "Similar tracks follow at the end of the queue" : "The queue ends where it ends", false);
  }

  #onQueueKey(key: string): void {
    const { playback } = this.#options;
    const { queue, index } = playback.state;
    const at = this.#selected ?? Math.max(0, index);
    const chosen = queue[at];
    const steps: Readonly<Record<string, number>> = {
      up: this.#selected === undefined && index < 0 ? 0 : -1,
      down: this.#selected === undefined && index < 0 ? 0 : 1,
      pageup: -PAGE,
      pagedown: PAGE,
      home: -queue.length,
      end: queue.length,
    };
    const step = steps[key];
    if (step !== undefined && queue.length > 0) this.#choose(Math.min(queue.length - 1, Math.max(0, at + step)));
    else if (key === "escape") this.#choose(undefined);
    else if (key === "enter" && chosen !== undefined) {
      playback.jump(chosen.entry);
      this.#choose(undefined);
    } else if ((key === "d" || key === "delete") && this.#selected !== undefined && chosen !== undefined) {
      playback.remove([chosen.entry]);
      this.#choose(queue.length < 2 ? undefined : Math.min(at, queue.length - 2));
    }
  }

  #choose(index: number | undefined): void {
    this.#selected = index;
    clearTimeout(this.#choiceEnd);
    if (index === undefined) return;
    this.#choiceEnd = setTimeout(() => {
      this.#selected = undefined;
      this.update();
    }, CHOICE_MS);
  }

  #onSearchKey(key: string): void {
    const { playback, book } = this.#options;
    if (key !== "enter" && key !== "tab") {
      this.#search.onKey(key);
      return;
    }
    const { chosen } = this.#search;
    if (chosen === undefined) return;
    const { track, entry } = chosen;
    if (key === "tab") {
      playback.add([track]);
      this.#say(`Added ${plain(book.peek(track).title ?? track.id)} to the queue`, false);
      this.#search.move(1);
      return;
    }
    this.#search.close();
    if (entry !== undefined) playback.jump(entry);
    else {
      playback.playNext([track]);
      const added = playback.queue.entries[playback.queue.position + 1];
      if (added !== undefined) playback.jump(added.entry);
    }
  }
}

function settler(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
