import type { Quality } from "../../data-source/quality.ts";
import type { Page } from "./page.ts";

export interface Asked {
  readonly page: Page;
  readonly quality: Quality;
  /** The number of the YouTube format whose bytes are held. */
  readonly itag: string | undefined;
  /** The program is too old for what the newest knows. */
  readonly old: boolean;
}

/** What is served in one piece. */
const DIRECT = "[protocol~='^https?$']";
/** Manifests come last: they are named so that they can be refused by name. */
const ANY = `ba${DIRECT}/b${DIRECT}/ba/b`;

const FORMATS: Readonly<Record<Quality, string>> = {
  low: `wa${DIRECT}/w${DIRECT}/wa/w`,
  medium: `ba[acodec=opus][abr<=160]${DIRECT}/ba[abr<=160]${DIRECT}/${ANY}`,
  high: `ba[acodec=opus]${DIRECT}/${ANY}`,
  ultra: ANY,
};
/** As the `youtube` source has them. */
const ITAGS: Readonly<Partial<Record<Quality, string>>> = { low: "140", medium: "251/140" };

/**
 * How yt-dlp is run: for one line of JSON about one track, without its configuration files, a download or a search. The
 * page stands behind `--`, so that none is an option.
 */
export function ytDlpArguments({ page, quality, itag, old }: Asked): string[] {
  const preferred = page.isYouTube ? [itag, ITAGS[quality]].filter((format) => format !== undefined) : [];
  return [
    "--ignore-config",
    "--no-warnings",
    "--default-search=error",
    "--socket-timeout=10",
    // Afterbay tries again itself.
    "--extractor-retries=1",
    // A player script of YouTube's needs a runtime; this one is here.
    ...(old ? [] : [`--js-runtimes=node:${process.execPath}`]),
    "--no-playlist",
    // A page of several tracks is none: two tell so, and a thousand would take an hour.
    "--playlist-items=1,2",
    ...(quality === "ultra" ? ["--format-sort=abr"] : []),
    "--format",
    [...preferred, FORMATS[quality]].join("/"),
    "-j",
    "--",
    page.url,
  ];
}

/**
 * yt-dlp's environment: all its requests go through `proxy`, and what is Afterbay's own is left out, since it may hold
 * secrets.
 */
export function ytDlpEnvironment(env: NodeJS.ProcessEnv, proxy: string): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !/^(?:AFTERBAY_.*|.*_proxy|REQUEST_METHOD)$/i.test(name));
  const proxies = ["http_proxy", "https_proxy", "all_proxy"].flatMap((name) => [name, name.toUpperCase()]);
  return { ...Object.fromEntries(kept), ...Object.fromEntries(proxies.map((name) => [name, proxy])) };
}
