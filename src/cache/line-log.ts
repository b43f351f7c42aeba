import { type FileHandle, open, readFile, rename, unlink } from "node:fs/promises";
import { crc32 } from "./crc32.ts";

/** What a log is about, in as few lines as will do. */
export interface LogState {
  /** How many lines that is. */
  readonly lineCount: number;
  /** The lines. They may be taken one by one while others are appended. */
  lines(): Iterable<string>;
}

const NEWLINE = 0x0a;
/** Hexadecimal digits and a space before the text of a line. */
const PREFIX = 9;
/** Bytes that a rewriting writes at once, about. */
const BATCH = 256 * 1024;

/**
 * An append-only file of lines that each carry their own checksum: `<crc32, 8 hex digits> <text>\n`. A reader takes the
 * lines that hold and leaves the others, so a torn tail or a flipped bit costs one line. The file is written anew from
 * the state when it has many more lines than that needs, or when someone else has cut or removed it.
 */
export class LineLog {
  readonly #path: string;
  readonly #state: LogState;
  readonly #slack: number;
  #pending: string[] = [];
  #writing: Promise<void> = Promise.resolve();
  /** Lines and bytes that the file has, as far as this process knows. */
  #lines = 0;
  #length = 0;
  /** Lines that it may have although a rewriting failed. */
  #grown = 0;
  /** Its last line may be a part of one. */
  #torn = false;
  /** The file says nothing that is true any more. */
  #void = false;

  /** `slack`: lines beyond twice the state's that the file may have. */
  constructor(path: string, state: LogState, slack: number) {
    this.#path = path;
    this.#state = state;
    this.#slack = slack;
  }

  /** Bytes that the file has, as far as this process knows. */
  get length(): number {
    return this.#length;
  }

  /**
   * Calls `take` with the text of each line that holds, in order; it is good for that call. Rejects if the file is there
   * and cannot be read.
   */
  async load(take: (text: Buffer) => void): Promise<void> {
    let content: Buffer;
    try {
      content = await readFile(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      this.#torn = true;
      throw error;
    }
    for (let start = 0; start < content.length; ) {
      const newline = content.indexOf(NEWLINE, start);
      const end = newline < 0 ? content.length : newline;
      const text = content.subarray(start + PREFIX, end);
      const told = Number.parseInt(content.toString("latin1", start, start + PREFIX - 1), 16);
      if (text.length > 0 && told === crc32(text)) take(text);
      this.#lines += 1;
      start = end + 1;
    }
    this.#length = content.length;
    this.#torn = content.length > 0 && content.at(-1) !== NEWLINE;
  }

  /** Queues a line; it is in the file when {@link flush} settles. */
  append(text: string): void {
    this.#pending.push(text);
  }

  /** Says that nothing in the file is true any more: the next flush writes the state alone. */
  renew(): void {
    this.#void = true;
  }

  /** Writes what is queued, in order. What could not be written stays queued. */
  flush(): Promise<void> {
    const result = this.#writing.then(() => this.#write());
    this.#writing = result.catch(() => {});
    return result;
  }

  async #write(): Promise<void> {
    const wasVoid = this.#void;
    if (wasVoid ? this.#state.lineCount === 0 : this.#pending.length === 0) return;
    const texts = this.#pending;
    this.#pending = [];
    try {
      if (wasVoid) await this.#rewrite();
      else if (!(await this.#shorten(texts.length)) && !(await this.#append(texts))) await this.#rewrite();
    } catch (error) {
      this.#pending = texts.concat(this.#pending);
      this.#void ||= wasVoid;
      throw error;
    }
  }

  /** False if the file is not the one that it was. */
  async #append(texts: readonly string[]): Promise<boolean> {
    const handle = await open(this.#path, "a");
    try {
      const { size } = await handle.stat();
      if (size < this.#length) return false;
      const lines = Buffer.from((this.#torn ? "\n" : "") + texts.map(framed).join(""));
      this.#torn = true;
      await handle.writeFile(lines);
      this.#torn = false;
      this.#length = size + lines.length;
      this.#lines += texts.length;
      return true;
    } finally {
      await handle.close();
    }
  }

  /** Writes the file anew if it would be too long with `more` lines; false if it is not, or if there is no room for that. */
  async #shorten(more: number): Promise<boolean> {
    const lines = this.#lines + more;
    if (lines <= Math.max(this.#grown, 2 * this.#state.lineCount + this.#slack)) return false;
    try {
      await this.#rewrite();
      return true;
    } catch {
      this.#grown = 2 * lines;
      return false;
    }
  }

  /** Puts a new file in the place of this one. Lines appended meanwhile follow; that they may be in it already is no harm. */
  async #rewrite(): Promise<void> {
    const temporary = `${this.#path}.new`;
    try {
      const handle = await open(temporary, "w");
      let written: { lines: number; bytes: number };
      try {
        this.#void = false;
        written = await writeLines(handle, this.#state.lines());
        // Renaming may reach the disk before the bytes do: after a power loss the file would be empty.
        await handle.datasync();
      } finally {
        await handle.close();
      }
      await rename(temporary, this.#path);
      this.#lines = written.lines;
      this.#length = written.bytes;
      this.#torn = false;
      this.#grown = 0;
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw error;
    }
  }
}

async function writeLines(handle: FileHandle, texts: Iterable<string>): Promise<{ lines: number; bytes: number }> {
  const written = { lines: 0, bytes: 0 };
  let batch = "";
  const write = async (): Promise<void> => {
    const bytes = Buffer.from(batch);
    batch = "";
    await handle.writeFile(bytes);
    written.bytes += bytes.length;
  };
  for (const text of texts) {
    batch += framed(text);
    written.lines += 1;
    if (batch.length >= BATCH) await write();
  }
  await write();
  return written;
}

function framed(text: string): string {
  return `${crc32(text).toString(16).padStart(8, "0")} ${text}\n`;
}
