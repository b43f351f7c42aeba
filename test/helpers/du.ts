import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Bytes on disk of a folder and all that is in it, as `du` counts them. */
export async function du(path: string): Promise<{ bytes: number; files: number }> {
  const sum = { bytes: (await lstat(path)).blocks * 512, files: 1 };
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    const { bytes, files } = entry.isDirectory()
      ? await du(below)
      : { bytes: (await lstat(below)).blocks * 512, files: 1 };
    sum.bytes += bytes;
    sum.files += files;
  }
  return sum;
}
