import { createRequire } from "node:module";
import type * as YouTubeJs from "youtubei.js/web.bundle";
import { AfterbayError } from "../../errors.ts";
import { runIsolated } from "./sandbox.ts";

/** What is used of youtubei.js, an optional dependency. */
export type Library = typeof YouTubeJs;
export type Innertube = YouTubeJs.Innertube;
export type InnertubeConfig = NonNullable<Parameters<Library["Innertube"]["create"]>[0]>;
export type VideoInfo = Awaited<ReturnType<Innertube["getBasicInfo"]>>;
export type Player = InstanceType<Library["Player"]>;
export type LibraryFormat = InstanceType<Library["Misc"]["Format"]>;

/** What a player script was boiled down to; besides, `signal` ends its runs. */
export type ScriptData = NonNullable<Player["data"]> & { readonly signal?: AbortSignal };

const INSTALL = "youtubei.js is not installed; install it with: npm install youtubei.js";

/** Throws an Error of one line that says what to do where youtubei.js is missing. Loads nothing. */
export function assertInstalled(find: (name: string) => unknown = createRequire(import.meta.url).resolve): void {
  try {
    find("youtubei.js/package.json");
  } catch (cause) {
    throw new Error(INSTALL, { cause });
  }
}

let loading: Promise<Library> | undefined;

/** Loads youtubei.js, once a process. Rejects with `upstream-failed`. */
export function loadLibrary(): Promise<Library> {
  loading ??= load().catch((cause: unknown) => {
    throw new AfterbayError("upstream-failed", INSTALL, { cause });
  });
  return loading;
}

/** For whoever has no use for the evaluator: it makes no URLs. */
export async function loadReader(): Promise<Library> {
  // The one file for browsers, not the 1300 for Node.js: 0.15 s and 21 MB instead of 0.9 s and 47 MB.
  const library = await import("youtubei.js/web.bundle");
  // It logs deciphered URLs, and answers that it cannot read.
  library.Log.setLevel(library.Log.Level.NONE);
  return library;
}

async function load(): Promise<Library> {
  const library = await loadReader();
  library.Platform.load({
    ...library.Platform.shim,
    runtime: "node",
    // Without that, it leaves the headers to the browser that it is made for.
    server: true,
    eval: (data: ScriptData) => runIsolated(data.output, data.signal ?? new AbortController().signal),
  });
  return library;
}
