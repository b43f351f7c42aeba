import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Artwork } from "../../data-source/resolution.ts";
import { MiB } from "../../data-source/data-source.ts";
import { imageType } from "../../data-source/image-type.ts";
import { isUnchanged, openInside } from "./open-inside.ts";
import { bytesOf, RAW, type RawPath } from "./raw-path.ts";
import type { ScannedFile } from "./scan.ts";
import { readPicture } from "./tags.ts";

const MAX_BYTES = 10 * MiB;

const BESIDE = /^(?:cover|folder|front)\.(?:jpe?g|png|webp|gif)$/i;

/** The picture in a file, else the one beside it; undefined where there is none of at most 10 MiB that can be read. */
export async function readArtwork(root: RawPath, file: ScannedFile, signal: AbortSignal): Promise<Artwork | undefined> {
  const found = (await embedded(root, file, signal)) ?? (await beside(root, file));
  signal.throwIfAborted();
  return found;
}

async function embedded(root: RawPath, file: ScannedFile, signal: AbortSignal): Promise<Artwork | undefined> {
  const opened = await openInside(root, file.path).catch(() => undefined);
  if (opened === undefined) return undefined;
  try {
    const bytes = await readPicture(opened, file.contentType, signal);
    return bytes !== undefined && (await isUnchanged(opened)) ? asArtwork(bytes) : undefined;
  } catch {
    return undefined;
  } finally {
    await opened.handle.close();
  }
}

async function beside(root: RawPath, { path }: ScannedFile): Promise<Artwork | undefined> {
  const folder = dirname(path);
  const names = await readdir(bytesOf(folder), RAW).catch(() => []);
  // In the order of the alphabet: covers before folders' and fronts.
  for (const name of names.filter((each) => BESIDE.test(each)).toSorted()) {
    const found = await readImage(root, join(folder, name));
    if (found !== undefined) return found;
  }
  return undefined;
}

async function readImage(root: RawPath, path: RawPath): Promise<Artwork | undefined> {
  const opened = await openInside(root, path).catch(() => undefined);
  if (opened === undefined) return undefined;
  try {
    const size = Number(opened.stats.size);
    if (size > MAX_BYTES) return undefined;
    const bytes = new Uint8Array(size);
    const { bytesRead } = await opened.handle.read(bytes, 0, size, 0);
    return bytesRead === size && (await isUnchanged(opened)) ? asArtwork(bytes) : undefined;
  } catch {
    return undefined;
  } finally {
    await opened.handle.close();
  }
}

function asArtwork(bytes: Uint8Array): Artwork | undefined {
  const contentType = bytes.length > MAX_BYTES ? undefined : imageType(bytes);
  return contentType === undefined ? undefined : { contentType, bytes };
}
