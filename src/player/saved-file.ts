import { mkdir, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** A file larger than this is none that was written here. */
const MAX_BYTES = 64 * 1024 ** 2;

/**
 * A small file of JSON that is replaced as a whole: after a crash it holds what was written last, or what was written
 * before that. It carries the number of its format.
 */
export class SavedFile {
  readonly #path: string;
  readonly #format: number;

  constructor(path: string, format: number) {
    this.#path = path;
    this.#format = format;
  }

  /**
   * What is in the file, as `parse` reads it (which throws for what it cannot be). A file that cannot be read, or has a
   * format that is newer, is moved to `….aside`, and the answer is undefined as if there were none.
   */
  async read<T>(parse: (value: Record<string, unknown>) => T): Promise<T | undefined> {
    try {
      const value: unknown = JSON.parse(await this.#text());
      if (typeof value !== "object" || value === null) throw new TypeError("Not an object");
      const fields = value as Record<string, unknown>;
      if (fields["format"] !== this.#format) throw new TypeError("Another format");
      return parse(fields);
    } catch (error) {
      if (isMissing(error)) return undefined;
      // Where that fails too, the next write says so.
      await rename(this.#path, `${this.#path}.aside`).catch(() => {});
      return undefined;
    }
  }

  /** Rejects with the system's error; then the file is as it was. */
  async write(fields: object): Promise<void> {
    const temporary = `${this.#path}.tmp`;
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    // What someone listens to is nobody else's affair.
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(JSON.stringify({ format: this.#format, ...fields }));
      // A name for bytes that a power loss takes would be worse than the old file.
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
  }

  async #text(): Promise<string> {
    // Reading from a pipe would wait for ever.
    const { size } = await stat(this.#path).then((found) => {
      if (!found.isFile() || found.size > MAX_BYTES) throw new TypeError("Not such a file");
      return found;
    });
    const file = await open(this.#path, "r");
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(size), 0, size, 0);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await file.close();
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
