import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MiB } from "../../data-source/data-source.ts";
import { isUnchanged, openInside } from "./open-inside.ts";
import { bytesOf, RAW, type RawPath } from "./raw-path.ts";
import type { ScannedFile } from "./scan.ts";
import { readPicture } from "./tags.ts";

/** A cover. */
export interface Artwork {
  /** One of image/jpeg, image/png, image/gif, image/webp: by the bytes, not by what a tag calls them. */
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

const MAX_BYTES = 10 * MiB;

const BESIDE = /^(?:cover|folder|front)\.(?:jpe?g|png|webp|gif)$/i;

/** How each type of image begins, in latin1; a dot is any byte. */
const SIGNATURES: readonly (readonly [string, string])[] = [
  ["\xff\xd8\xff", "image/jpeg"],
  ["\x89PNG\r\n\x1a\n", "image/png"],
  ["GIF8", "image/gif"],
  ["RIFF....WEBP", "image/webp"],
];

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
  if (bytes.length > MAX_BYTES) return undefined;
  const head = Buffer.from(bytes.subarray(0, 16)).toString("latin1");
  const contentType = SIGNATURES.find(([signature]) => begins(head, signature))?.[1];
  return contentType === undefined ? undefined : { contentType, bytes };
}

function begins(head: string, signature: string): boolean {
  return Array.from(signature).every((character, at) => character === "." || character === head[at]);
}
