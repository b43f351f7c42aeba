import { extname, sep } from "node:path";
import { type RawPath, relativeTo, textOf } from "./raw-path.ts";

/** What is known of a track for display. */
export interface Names {
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
}

/** What a path gives away: `Artist/Album/Title.mp3`, the way most libraries are laid out. */
export function namesFrom(root: RawPath, path: RawPath): Names & { readonly title: string } {
  const folders = relativeTo(root, path).split(sep);
  const file = folders.pop() ?? "";
  const [artist, album] = [folders.at(-2), folders.at(-1)];
  return {
    title: textOf(file.slice(0, file.length - extname(file).length)) || textOf(file),
    ...(artist === undefined ? {} : { artist: textOf(artist) }),
    ...(album === undefined ? {} : { album: textOf(album) }),
  };
}
