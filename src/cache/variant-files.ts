import { lstatSync, type Stats } from "node:fs";
import { lstat, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { TimeSlice } from "../data-source/time-slice.ts";
import type { VariantName } from "./variant-name.ts";
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
  /** A map or a cover that was being written when the process died. */
  readonly hasNew: boolean;
  /** Epoch ms of the last change. */
  readonly changedAt: number;
}

const FILE = /^([0-9a-f]{32})\.(data|map|map\.new|art|art\.new)$/;
/** In the order in which they are deleted: data without a map is nothing, a map without data would be wrong. */
const ENDINGS = ["map", "map.new", "data", "art", "art.new"] as const;

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

  /**
   * The files of every variant, one after the other; undefined where they cannot be looked at. Never rejects: folders that
   * cannot be read are passed over. Whatever else the process does has its turn every few ms.
   */
  async *find(): AsyncGenerator<readonly [stem: string, files: FoundFiles | undefined]> {
    const slice = new TimeSlice();
    for (const folder of await trackFolders(this.#root)) {
      const names = await readdir(join(this.#root, folder)).catch(() => []);
      for (const [stem, endings] of byStem(names)) {
        if (folderOf(stem) !== folder) continue;
        yield [stem, this.#lookNow(stem, endings)];
        if (slice.isOver) await slice.pause();
      }
    }
  }

  /** Looks at the files of one variant, which may be gone. Rejects if that cannot be told. */
  async look(stem: string): Promise<FoundFiles> {
    const path = variantPath(this.#root, stem);
    const found = ENDINGS.map(
      async (ending) => [ending, await lstat(`${path}.${ending}`).catch(unlessMissing)] as const,
    );
    return foundFiles(stem, new Map(await Promise.all(found)));
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

  /** At a sixth of what it costs to ask in the background: there may be 200,000 of them. */
  #lookNow(stem: string, endings: readonly string[]): FoundFiles | undefined {
    const path = variantPath(this.#root, stem);
    try {
      const found = endings.map(
        (ending) => [ending, lstatSync(`${path}.${ending}`, { throwIfNoEntry: false })] as const,
      );
      return foundFiles(stem, new Map(found));
    } catch {
      return undefined;
    }
  }

  /** Deletes what is left of a map or a cover that was being written. */
  async tidy(stem: string): Promise<void> {
    const path = variantPath(this.#root, stem);
    for (const ending of ["map.new", "art.new"]) await unlink(`${path}.${ending}`).catch(unlessMissing);
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

function byStem(names: readonly string[]): Map<string, string[]> {
  const stems = new Map<string, string[]>();
  for (const name of names) {
    const [, stem, ending] = FILE.exec(name) ?? [];
    if (stem === undefined || ending === undefined) continue;
    const known = stems.get(stem);
    if (known === undefined) stems.set(stem, [ending]);
    else known.push(ending);
  }
  return stems;
}

function foundFiles(stem: string, found: ReadonlyMap<string, Stats | undefined>): FoundFiles {
  const files = new Map([...found].filter(([, stats]) => stats?.isFile() === true));
  const all = [...files.values()];
  return {
    stem,
    disk: all.reduce((sum, stats) => sum + (stats?.blocks ?? 0) * 512, 0),
    hasData: files.has("data"),
    hasMap: files.has("map"),
    hasNew: files.has("map.new") || files.has("art.new"),
    changedAt: all.reduce((last, stats) => Math.max(last, stats?.mtimeMs ?? 0), 0),
  };
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
