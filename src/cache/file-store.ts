import { existsSync } from "node:fs";
import { type Clock, systemClock } from "../data-source/clock.ts";
import { ArtworkFiles } from "./artwork-files.ts";
import type { ChunkStore, StoredVariant } from "./chunk-store.ts";
import type { VariantName } from "./variant-name.ts";
import { FileVariant } from "./file-variant.ts";
import { VariantFiles } from "./variant-files.ts";
import { folderOf, stemOf, variantPath } from "./variant-paths.ts";

/**
 * Chunks on disk: one sparse file per variant (`.data`), in which every byte has its own offset, and a map beside it
 * (`.map`) that says which bytes are there. The format is described in `docs/on-disk-format.md`.
 */
export class FileChunkStore implements ChunkStore {
  readonly artwork: ArtworkFiles;
  readonly files: VariantFiles;
  readonly #root: string;
  readonly #clock: Clock;

  /** `root` is the folder of this format's version. */
  constructor(root: string, clock: Clock = systemClock) {
    this.#root = root;
    this.#clock = clock;
    this.artwork = new ArtworkFiles(root);
    this.files = new VariantFiles(root);
  }

  async open(name: VariantName): Promise<StoredVariant> {
    const stem = stemOf(name);
    const path = variantPath(this.#root, stem);
    const variant = new FileVariant(path, name, {
      clock: this.#clock,
      onCreated: () => void this.files.overhead.look(folderOf(stem)),
    });
    // For most that are opened nothing is stored yet, and a listener waits: no turn of the thread pool for that.
    if (existsSync(`${path}.map`)) await variant.load();
    return variant;
  }

  pathOf(name: VariantName): string {
    return `${variantPath(this.#root, stemOf(name))}.data`;
  }

  async delete(name: VariantName): Promise<void> {
    await this.files.delete(stemOf(name));
  }
}
