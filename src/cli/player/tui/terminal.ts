import { StringDecoder } from "node:string_decoder";
import type { Io } from "../../io.ts";
import { keysOf, unfinishedIn } from "./keys.ts";

/** The other screen, without a cursor; a line that is too long is cut, and the title of the window stays. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
/** Terminals that know these show a frame at once; the others ignore them. */
const BEGIN_FRAME = "\x1b[?2026h";
const END_FRAME = "\x1b[?2026l";
/** An Escape is a key of its own if nothing follows within this, ms. */
const ESCAPE_MS = 40;
const DEFAULT_SIZE = { width: 80, height: 24 };

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface TerminalListener {
  onKey(key: string): void;
  /** What is shown must be drawn anew: another size, or back from the shell. */
  onResize(): void;
}

/** A terminal in this program's hands, from `open` to `close`, which gives it back as it was. */
export class Terminal {
  readonly #io: Io;
  readonly #decoder = new StringDecoder("utf8");
  #listener: TerminalListener | undefined;
  #shown: readonly string[] = [];
  #wanted: readonly string[] | undefined;
  #isBlocked = false;
  #isOpen = false;
  #rest = "";
  #escape: NodeJS.Timeout | undefined;

  constructor(io: Io) {
    this.#io = io;
  }

  get size(): Size {
    const { columns = 0, rows = 0 } = this.#io.stdout;
    return { width: columns || DEFAULT_SIZE.width, height: rows || DEFAULT_SIZE.height };
  }

  /** Takes the terminal; whatever ends the process gives it back. */
  open(listener: TerminalListener): void {
    this.#listener = listener;
    const { stdin, stdout, signals } = this.#io;
    stdin.on("data", this.#onData);
    stdout.on?.("resize", this.#onResize);
    stdout.on?.("drain", this.#onDrain);
    signals.on("exit", this.#leave);
    // Before Node.js prints the error, so that it can be read.
    signals.on("uncaughtExceptionMonitor", this.#leave);
    signals.on("SIGCONT", this.#onContinue);
    this.#enter();
    stdin.resume();
  }

  close(): void {
    const { stdin, stdout, signals } = this.#io;
    this.#leave();
    clearTimeout(this.#escape);
    stdin.off("data", this.#onData);
    stdin.pause();
    stdout.off?.("resize", this.#onResize);
    stdout.off?.("drain", this.#onDrain);
    signals.off("exit", this.#leave);
    signals.off("uncaughtExceptionMonitor", this.#leave);
    signals.off("SIGCONT", this.#onContinue);
  }

  /** Shows these lines, the first at the top; only what is different is written. */
  draw(lines: readonly string[]): void {
    this.#wanted = lines;
    if (!this.#isOpen || this.#isBlocked) return;
    const changes = lines.flatMap((line, row) =>
      line === this.#shown[row] ? [] : [`\x1b[${row + 1};1H\x1b[2K${line}`],
    );
    if (this.#shown.length > lines.length) changes.push(`\x1b[${lines.length + 1};1H\x1b[J`);
    this.#shown = lines;
    // A terminal that is slow to read gets the newest frame when it is ready, and none of those between.
    if (changes.length > 0) this.#isBlocked = this.#write(`${BEGIN_FRAME}${changes.join("")}${END_FRAME}`) === false;
  }

  /** Wipes the screen: whatever is drawn next is drawn as a whole. */
  wipe(): void {
    if (!this.#isOpen) return;
    this.#shown = [];
    this.#wanted = undefined;
    this.#write("\x1b[2J");
  }

  /** Back to the shell, until it brings this program to the front again. */
  suspend(): void {
    this.#leave();
    process.kill(process.pid, "SIGTSTP");
  }

  readonly #onContinue = (): void => {
    // The shell may have changed everything while this program was stopped.
    this.#isOpen = false;
    this.#enter();
    this.#listener?.onResize();
  };

  readonly #onResize = (): void => {
    this.wipe();
    this.#listener?.onResize();
  };

  readonly #onDrain = (): void => {
    this.#isBlocked = false;
    if (this.#wanted !== undefined) this.draw(this.#wanted);
  };

  readonly #onData = (piece: Buffer | string): void => {
    clearTimeout(this.#escape);
    const text = this.#rest + (typeof piece === "string" ? piece : this.#decoder.write(piece));
    const cut = unfinishedIn(text);
    this.#rest = text.slice(cut);
    if (this.#rest !== "") {
      this.#escape = setTimeout(() => {
        const rest = this.#rest;
        this.#rest = "";
        this.#tell(rest);
      }, ESCAPE_MS);
    }
    this.#tell(text.slice(0, cut));
  };

  #tell(text: string): void {
    for (const key of keysOf(text)) this.#listener?.onKey(key);
  }

  #enter(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#shown = [];
    this.#isBlocked = false;
    this.#io.stdin.setRawMode?.(true);
    this.#write(ENTER);
  }

  readonly #leave = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#write(LEAVE);
    try {
      this.#io.stdin.setRawMode?.(false);
    } catch {
      // The terminal is gone.
    }
  };

  #write(text: string): unknown {
    return this.#io.stdout.write(text);
  }
}
