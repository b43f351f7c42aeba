import { lstat, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { VariantName } from "./chunk-store.ts";
import { LineLog } from "./line-log.ts";
import { Overhead } from "./overhead.ts";
import { folderOf, stemOf, trackFolders, variantPath } from "./variant-paths.ts";

/** The files of one variant, as they were found. */
export interface FoundFiles {
  readonly stem: string;
  /** Bytes on disk. */
  readonly disk: number;
  readonly hasData: boolean;
  readonly hasMap: boolean;
  /** A map that was being written anew when the process died. */
  readonly hasNewMap: boolean;
  /** Epoch ms of the last change. */
  readonly changedAt: number;
}

const FILE = /^([0-9a-f]{32})\.(data|map|map\.new)$/;
/** In the order in which they are deleted: data without a map is nothing, a map without data would be wrong. */
const ENDINGS = ["map", "map.new", "data"] as const;

/** The files of all variants: what is there, and what it takes on disk. Files of other names are never touched. */
export class VariantFiles {
  /** What there is besides them. */
  readonly overhead: Overhead;
  readonly #root: string;

  /** `root` is the folder of this format's version. */
  constructor(root: string) {
    this.#root = root;
    this.overhead = new Overhead(root);
  }

  /** The stems of all files, one after the other. Never rejects: folders that cannot be read are passed over. */
  async *stems(): AsyncGenerator<string> {
    for (const folder of await trackFolders(this.#root)) {
      const names = await readdir(join(this.#root, folder)).catch(() => []);
      const stems = names.flatMap((name) => FILE.exec(name)?.[1] ?? []);
      for (const stem of new Set(stems)) if (folderOf(stem) === folder) yield stem;
    }
  }

  /** Looks at the files of one variant, which may be gone. Rejects if that cannot be told. */
  async look(stem: string): Promise<FoundFiles> {
    const path = variantPath(this.#root, stem);
    let [disk, changedAt] = [0, 0];
    const found = new Set<string>();
    for (const ending of ENDINGS) {
      const stats = await lstat(`${path}.${ending}`).catch(unlessMissing);
      if (stats?.isFile() !== true) continue;
      found.add(ending);
      disk += stats.blocks * 512;
      changedAt = Math.max(changedAt, stats.mtimeMs);
    }
    return {
      stem,
      disk,
      hasData: found.has("data"),
      hasMap: found.has("map"),
      hasNewMap: found.has("map.new"),
      changedAt,
    };
  }

  /** Whose bytes they are, as their map says; undefined if it does not, or is another's. Rejects if it cannot be read. */
  async whose(stem: string): Promise<VariantName | undefined> {
    let name: VariantName | undefined;
    const map = new LineLog(`${variantPath(this.#root, stem)}.map`, { lineCount: 0, lines: () => [] }, 0);
    await map.load((text) => {
      name ??= parseTitle(text.toString());
    });
    return name !== undefined && stemOf(name) === stem ? name : undefined;
  }

  /** Deletes what is left of a map that was being written anew. */
  async tidy(stem: string): Promise<void> {
    await unlink(`${variantPath(this.#root, stem)}.map.new`).catch(unlessMissing);
  }

  /** Deletes the files of a variant that nobody uses, and their folder with the last of them. */
  async delete(stem: string): Promise<void> {
    const path = variantPath(this.#root, stem);
    for (const ending of ENDINGS) await unlink(`${path}.${ending}`).catch(unlessMissing);
    const folder = folderOf(stem);
    // Where others are left, this fails.
    await rmdir(join(this.#root, folder)).catch(() => {});
    await this.overhead.look(folder);
  }
}

function unlessMissing(error: unknown): undefined {
  if (!["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
}

/** The first line of a map names its variant. */
export function titleOf({ source, id, variant }: VariantName): string {
  return `= ${JSON.stringify([source, id, variant])}`;
}

function parseTitle(line: string): VariantName | undefined {
  if (!line.startsWith("= ")) return undefined;
  try {
    const [source, id, variant] = JSON.parse(line.slice(2)) as unknown[];
    if (typeof source !== "string" || typeof id !== "string" || typeof variant !== "string") return undefined;
    return { source, id, variant };
  } catch {
    return undefined;
  }
}
