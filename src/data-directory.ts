import { posix, win32 } from "node:path";

/**
 * Where songs are kept unless told otherwise: the user's data directory. Not the cache directory, which systems sweep,
 * taking offline songs along.
 */
export function dataDirectory(
  platform: NodeJS.Platform,
  env: Readonly<Record<string, string | undefined>>,
  home: string,
): string {
  if (platform === "win32") {
    return win32.join(env.LOCALAPPDATA || win32.join(home, "AppData", "Local"), "afterbay");
  }
  if (platform === "darwin") return posix.join(home, "Library", "Application Support", "afterbay");
  const { XDG_DATA_HOME: data = "" } = env;
  // The XDG specification says to ignore a relative path.
  return posix.join(posix.isAbsolute(data) ? data : posix.join(home, ".local", "share"), "afterbay");
}
