import { constants } from "node:fs";
import { open, opendir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { reason } from "../problems.ts";
import { isAudioExtension, sniff, SNIFF_BYTES } from "./audio-types.ts";

/** What was found at a path that was named, or below it. */
export type Found =
  | { readonly kind: "audio"; readonly file: string; readonly size: number }
  /** Passed over; `named`: the user asked for this very one. */
  | { readonly kind: "skipped"; readonly file: string; readonly why: string; readonly named: boolean }
  | { readonly kind: "refused"; readonly file: string; readonly code: string; readonly why: string };

/**
 * Finds the audio files at `path`, a file or a folder, in the order of their names. Nothing but a regular file is opened:
 * a pipe would wait for its writer. `maxSize` in bytes: a larger file is refused unread.
 */
export async function* audioFiles(path: string, maxSize: number): AsyncGenerator<Found, void, undefined> {
  yield* visit(path, maxSize, true);
}

async function* visit(file: string, maxSize: number, named: boolean): AsyncGenerator<Found, void, undefined> {
  let found: Found | "folder";
  try {
    found = await judge(file, maxSize, named);
  } catch (error) {
    found = { kind: "refused", file, code: "unreadable", why: reason(error) };
  }
  if (found !== "folder") yield found;
  else yield* below(file, maxSize);
}

async function* below(folder: string, maxSize: number): AsyncGenerator<Found, void, undefined> {
  const names: { name: string; isLink: boolean }[] = [];
  try {
    // Hidden files are the system's: thumbnails, what macOS leaves on foreign disks.
    for await (const entry of await opendir(folder)) {
      if (!entry.name.startsWith(".")) names.push({ name: entry.name, isLink: entry.isSymbolicLink() });
    }
  } catch (error) {
    yield { kind: "refused", file: folder, code: "unreadable", why: reason(error) };
    return;
  }
  for (const { name, isLink } of names.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const file = join(folder, name);
    // A link to a folder may lead back to where it stands.
    if (isLink && (await isFolder(file))) yield { kind: "skipped", file, why: "a link to a folder", named: false };
    else yield* visit(file, maxSize, false);
  }
}

async function judge(file: string, maxSize: number, named: boolean): Promise<Found | "folder"> {
  const facts = await stat(file);
  if (facts.isDirectory()) return "folder";
  if (!facts.isFile()) return { kind: "skipped", file, why: "not a regular file", named };
  const extension = extname(file).slice(1);
  if (!isAudioExtension(extension)) {
    const why = extension === "" ? "its name has no extension of audio" : `.${extension} is not audio`;
    return named ? { kind: "refused", file, code: "not-audio", why } : { kind: "skipped", file, why, named };
  }
  if (facts.size > maxSize) {
    return { kind: "refused", file, code: "no-space", why: "it is larger than all the room that the cache has" };
  }
  // It may be another thing by now; opened like this, a pipe does not wait.
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const opened = await handle.stat();
    if (!opened.isFile()) return { kind: "skipped", file, why: "not a regular file", named };
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    if (bytesRead === 0) return { kind: "refused", file, code: "not-audio", why: "it is empty" };
    if (sniff(buffer.subarray(0, bytesRead)) !== undefined) return { kind: "audio", file, size: opened.size };
    return { kind: "refused", file, code: "not-audio", why: "its bytes are not audio" };
  } finally {
    await handle.close();
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}
