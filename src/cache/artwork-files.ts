import { readFile, rename, unlink, writeFile } from "node:fs/promises";
import { crc32 } from "./crc32.ts";
import { variantPath } from "./variant-paths.ts";

/** The checksum in front of a picture: 8 hexadecimal digits and a newline. */
const HEADER = 9;

/** The covers of variants, each in a file beside the variant's own (`.art`), checked when it is read. */
export class ArtworkFiles {
  readonly #root: string;

  /** `root` is the folder of this format's version. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Undefined where there is none, or it does not hold. Never rejects. */
  async read(stem: string): Promise<Uint8Array | undefined> {
    const file = await readFile(this.#pathOf(stem)).catch(() => undefined);
    if (file === undefined) return undefined;
    const picture = file.subarray(HEADER);
    return file.toString("latin1", 0, HEADER) === headerOf(picture) ? picture : undefined;
  }

  /** Rejects where it cannot be written: the variant's folder may be gone. */
  async write(stem: string, picture: Uint8Array): Promise<void> {
    const path = this.#pathOf(stem);
    try {
      await writeFile(`${path}.new`, [headerOf(picture), picture], { mode: 0o600 });
      await rename(`${path}.new`, path);
    } catch (error) {
      await unlink(`${path}.new`).catch(() => {});
      throw error;
    }
  }

  /** Gives the cover of one variant to another, in place of its own. False if there was none. */
  async handOn(from: string, to: string): Promise<boolean> {
    return await rename(this.#pathOf(from), this.#pathOf(to)).then(
      () => true,
      () => false,
    );
  }

  async delete(stem: string): Promise<void> {
    await unlink(this.#pathOf(stem)).catch(() => {});
  }

  #pathOf(stem: string): string {
    return `${variantPath(this.#root, stem)}.art`;
  }
}

function headerOf(picture: Uint8Array): string {
  return `${crc32(picture).toString(16).padStart(8, "0")}\n`;
}
