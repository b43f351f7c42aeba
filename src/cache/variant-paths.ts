import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { VariantName } from "./variant-name.ts";

/** The folder of all variants, below the root. */
export const TRACKS = "tracks";
const FOLDER = /^[0-9a-f]{2}$/;

/** The name of a variant's files, without ending: 32 hexadecimal digits. Nothing of a request becomes a path. */
export function stemOf({ source, id, variant }: VariantName): string {
  return createHash("sha256")
    .update(JSON.stringify([source, id, variant]))
    .digest("hex")
    .slice(0, 32);
}

/** The folder of the variant `stem`, below the root. */
export function folderOf(stem: string): string {
  return `${TRACKS}/${stem.slice(0, 2)}`;
}

/** Where the files of the variant `stem` are, without ending. */
export function variantPath(root: string, stem: string): string {
  return join(root, folderOf(stem), stem);
}

/** The folders that hold variants, below the root. Never rejects. */
export async function trackFolders(root: string): Promise<string[]> {
  const names = await readdir(join(root, TRACKS)).catch(() => []);
  return names.filter((name) => FOLDER.test(name)).map((name) => `${TRACKS}/${name}`);
}
