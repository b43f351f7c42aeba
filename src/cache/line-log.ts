import { open, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { crc32 } from "./crc32.ts";

/**
 * An append-only file of lines that each carry their own checksum: `<crc32, 8 hex digits> <text>\n`. A reader takes the
 * lines that hold and leaves the others, so a torn tail or a flipped bit costs one line.
 */
export class LineLog {
  readonly #path: string;
  #pending = "";
  #writing: Promise<void> = Promise.resolve();
  #torn = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** The texts of the lines that hold; none if there is no file. */
  async load(): Promise<string[]> {
    let content: string;
    try {
      content = await readFile(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
    this.#torn = content.length > 0 && !content.endsWith("\n");
    const texts: string[] = [];
    for (const line of content.split("\n")) {
      const text = line.slice(9);
      if (line.length > 9 && line[8] === " " && Number.parseInt(line.slice(0, 8), 16) === crc32(text)) texts.push(text);
    }
    return texts;
  }

  /** Queues a line; it is on disk when {@link flush} settles. */
  append(text: string): void {
    this.#pending += framed(text);
  }

  /** Drops what is queued, when the file it was meant for is gone. */
  async forget(): Promise<void> {
    this.#pending = "";
    await this.#writing;
    this.#torn = false;
  }

  /** Writes what is queued, in order. What could not be written stays queued. */
  flush(): Promise<void> {
    const write = async (): Promise<void> => {
      if (this.#pending === "") return;
      const lines = this.#pending;
      this.#pending = "";
      try {
        const handle = await open(this.#path, "a");
        try {
          await handle.writeFile(this.#torn ? `\n${lines}` : lines);
          this.#torn = false;
        } finally {
          await handle.close();
        }
      } catch (error) {
        // Part of a line may have been written.
        this.#torn = true;
        this.#pending = lines + this.#pending;
        throw error;
      }
    };
    const result = this.#writing.then(write);
    this.#writing = result.catch(() => {});
    return result;
  }

  /** Replaces the whole file at once, dropping what is queued. */
  rewrite(texts: Iterable<string>): Promise<void> {
    this.#pending = "";
    const write = async (): Promise<void> => {
      const temporary = `${this.#path}.new`;
      try {
        await writeFile(temporary, Array.from(texts, framed).join(""));
        await rename(temporary, this.#path);
        this.#torn = false;
      } catch (error) {
        await unlink(temporary).catch(() => {});
        throw error;
      }
    };
    const result = this.#writing.then(write);
    this.#writing = result.catch(() => {});
    return result;
  }
}

function framed(text: string): string {
  return `${crc32(text).toString(16).padStart(8, "0")} ${text}\n`;
}
