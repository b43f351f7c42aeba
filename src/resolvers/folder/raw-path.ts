import { sep } from "node:path";

/**
 * A path as the bytes that it is on disk, one character a byte (latin1). File names are bytes, not text: names that are
 * no UTF-8 survive, and none is taken for another. Separators are ASCII, so that `node:path` works on these as on others.
 */
export type RawPath = string;

/** The encoding in which Node hands out names as raw paths. */
export const RAW = { encoding: "latin1" } as const;

/** A name that a directory lists, in its directory. `join` would do the same, and be a fifth of a scan's time. */
export function below(directory: RawPath, name: RawPath): RawPath {
  return directory.endsWith(sep) ? directory + name : directory + sep + name;
}

/** The way to `path` from `root`, which is above it; empty for the root itself. */
export function relativeTo(root: RawPath, path: RawPath): RawPath {
  return path.slice(root.endsWith(sep) ? root.length : root.length + 1);
}

/** For system calls. */
export function bytesOf(path: RawPath): Buffer {
  return Buffer.from(path, "latin1");
}

/** For people: bytes that are no UTF-8 become U+FFFD, control characters and halves of surrogate pairs spaces. */
export function textOf(path: RawPath): string {
  return plainText(bytesOf(path).toString("utf8"));
}

/** Words for display, in one line and of a length that an interface can bear. */
export function plainText(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cs}]+/gu, " ")
    .trim()
    .slice(0, 1000);
}
