import type { Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { TRACKS, trackFolders } from "./variant-paths.ts";

/** Logs and sockets at the top of the folder. What is called otherwise is not ours. */
const OWN = /\.(log|sock)(\.new)?$/;

/** What a folder of variants takes on disk beside their files: the folders, the logs. */
export class Overhead {
  readonly #root: string;
  /** Bytes on disk, by path below the root. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  #tracks: Stats | undefined;

  /** `root` is the folder of this format's version. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Bytes on disk, as they were when last looked at. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Looks at the top. False if the variants' folder is another than the last time: someone has deleted it. Never rejects. */
  async lookAtTop(): Promise<boolean> {
    const names = await readdir(this.#root).catch(() => []);
    const own = names.filter((name) => OWN.test(name));
    const known = [...this.#sizes.keys()].filter((path) => OWN.test(path));
    for (const path of new Set(["", ...own, ...known])) await this.look(path);
    const before = this.#tracks;
    this.#tracks = await this.look(TRACKS);
    return before === undefined || isSame(before, this.#tracks);
  }

  /** Looks at the folders of variants. Never rejects. */
  async lookAtFolders(): Promise<void> {
    const known = [...this.#sizes.keys()].filter((path) => path.startsWith(`${TRACKS}/`));
    const found = await trackFolders(this.#root);
    for (const path of new Set([...known, ...found])) await this.look(path);
  }

  /** Looks at one file or folder, which may be gone. Never rejects. */
  async look(path: string): Promise<Stats | undefined> {
    const stats = await lstat(join(this.#root, path)).catch(() => undefined);
    const bytes = (stats?.blocks ?? 0) * 512;
    this.#bytes += bytes - (this.#sizes.get(path) ?? 0);
    if (bytes > 0) this.#sizes.set(path, bytes);
    else this.#sizes.delete(path);
    return stats;
  }
}

/** Whether it is the folder that it was. File systems give the number of a deleted one to the next. */
function isSame(before: Stats, now: Stats | undefined): boolean {
  // Where the time of its making is not known, it is 0 or that of the last change.
  const known = before.birthtimeMs !== 0 && before.birthtimeMs !== before.ctimeMs;
  return before.ino === now?.ino && (!known || before.birthtimeMs === now.birthtimeMs);
}
