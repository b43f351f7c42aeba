import { createHash } from "node:crypto";
import type { ApiTrack } from "./api-track.ts";
import { html, type Markup, nothing } from "./markup.ts";
import { STYLE } from "./page-style.ts";
import { trackPath } from "./track-path.ts";

/** What is cached, all tracks together. */
export interface Totals {
  readonly tracks: number;
  /** Tracks that play with no network. */
  readonly complete: number;
  readonly cachedBytes: number;
  /** The cache's budget, bytes. */
  readonly budgetBytes?: number;
}

export interface PageData {
  /** Those to be shown: all, or the first. */
  readonly tracks: readonly ApiTrack[];
  readonly totals: Totals;
  readonly version: string;
}

export interface Page {
  readonly html: string;
  /** The value of `Content-Security-Policy` that this page works under: no script, nothing from elsewhere. */
  readonly csp: string;
}

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

const CSP = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  "img-src 'self' data:",
  "media-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** STYLE's text reaches the page unchanged, as its hash demands: it holds nothing that would be escaped. */
const HEAD: Markup = {
  markup: `<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Afterbay</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>`,
};

/** The classes of the bar's parts; `.` is the bar's background. */
const CHUNK_CLASS: Readonly<Record<string, string>> = { "#": "whole", "=": "part", "-": "fetching" };

/** The page at `/`: every track with a player and what is cached of it, without any script. */
export function renderPage({ tracks, totals, version }: PageData): Page {
  const { markup } = html`<!doctype html>
<html lang="en">
<head>
${HEAD}
</head>
<body>
<header>
<h1>Afterbay</h1>
<p class="totals">${totalsLine(totals)}</p>
</header>
<main>
<h2>Tracks</h2>
${tracks.length === 0 ? EMPTY : html`<ol>${tracks.map(trackItem)}</ol>`}
${totals.tracks > tracks.length ? more(totals.tracks - tracks.length) : nothing}
</main>
<footer>Afterbay ${version}. Songs stay on this machine’s disk as their bytes flow by.</footer>
</body>
</html>
`;
  return { html: markup, csp: CSP };
}

const EMPTY = html`<div class="empty">
<p>No tracks yet.</p>
<p>This source does not list its tracks. Each one that you play appears here, and stays.</p>
</div>`;

function more(count: number): Markup {
  return html`<p>And ${count} more, in <a href="/playlist.m3u8">the playlist of all</a>.</p>`;
}

function trackItem(track: ApiTrack): Markup {
  const title = track.title ?? track.id;
  const path = trackPath(track.source, track.id);
  const by = [track.artist, track.album].filter((part) => part !== undefined && part !== "").join(" · ");
  return html`
<li><article>
${cover(track)}
<div class="words">
<h3>${title}</h3>
${by === "" ? nothing : html`<p class="by">${by}</p>`}
</div>
${track.durationMs === undefined ? nothing : duration(track.durationMs)}
<audio controls preload="none" src="${path}" aria-label="${title}"></audio>
<div class="share">
${bar(track)}
<p><span>${shareLine(track)}</span> <a href="${path}" aria-label="Stream of ${title}">Stream</a></p>
</div>
</article></li>`;
}

/** The artwork, or a picture drawn from the track's key: always the same one for the same track. */
function cover({ artwork, key }: ApiTrack): Markup {
  // One slash: `//host/…` would be another server's.
  if (artwork !== undefined && /^\/(?!\/)/.test(artwork)) {
    return html`<img class="cover" src="${artwork}" alt="" width="52" height="52" loading="lazy">`;
  }
  const [hue = 0, ...heights] = createHash("sha256").update(key).digest().subarray(0, 8);
  const bars = heights.map((byte, index) => {
    const height = 8 + (byte / 255) * 22;
    return html`<rect x="${9.5 + index * 5}" y="${26 - height / 2}" width="3" height="${height}" rx="1.5" fill="#fff" fill-opacity=".85"/>`;
  });
  return html`<svg class="cover" viewBox="0 0 52 52" aria-hidden="true"><rect width="52" height="52" fill="hsl(${Math.round((hue * 360) / 256)} 38% 44%)"/>${bars}</svg>`;
}

/** One rectangle for each run of equal chunks. */
function bar({ chunks, cachedBytes, size }: ApiTrack): Markup {
  if (chunks === "") return nothing;
  const runs = Array.from(chunks.matchAll(/#+|=+|-+/g), ({ 0: run, index }) => {
    const name = CHUNK_CLASS[run.charAt(0)] ?? "";
    return html`<rect class="${name}" x="${index}" width="${run.length}" height="1"/>`;
  });
  const label = size === undefined ? `${bytes(cachedBytes)} cached` : `${percent(cachedBytes, size)} cached`;
  return html`<svg class="bar" role="img" aria-label="${label}" viewBox="0 0 ${chunks.length} 1" preserveAspectRatio="none">${runs}</svg>`;
}

function shareLine({ cachedBytes, size, complete, pinned }: ApiTrack): string {
  const kept = pinned ? "Pinned. " : "";
  if (complete) return `${kept}Plays offline, ${bytes(cachedBytes)} on disk`;
  if (cachedBytes === 0) return `${kept}Not cached yet${size === undefined ? "" : `, ${bytes(size)}`}`;
  if (size === undefined) return `${kept}${bytes(cachedBytes)} cached`;
  return `${kept}${percent(cachedBytes, size)} cached, ${bytes(cachedBytes)} of ${bytes(size)}`;
}

function totalsLine({ tracks, complete, cachedBytes, budgetBytes }: Totals): string {
  const budget = budgetBytes === undefined ? "" : ` of ${bytes(budgetBytes)}`;
  const named = `${tracks} ${tracks === 1 ? "track" : "tracks"}`;
  return `${named} · ${complete} ${complete === 1 ? "plays" : "play"} offline · ${bytes(cachedBytes)}${budget} on disk`;
}

/** Rounded towards the middle: 0 % and 100 % are said only where they are true. */
function percent(part: number, whole: number): string {
  if (part >= whole) return "100 %";
  const rounded = Math.floor((part / whole) * 100);
  return rounded === 0 && part > 0 ? "Less than 1 %" : `${rounded} %`;
}

/** Powers of 1024, as `--cache-size` counts, with at most one decimal. */
function bytes(count: number): string {
  if (count === 1) return "1 byte";
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let [value, unit] = [count, 0];
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1024;
  const digits = unit === 0 || value >= 10 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ""}`;
}

function duration(milliseconds: number): Markup {
  const total = Math.round(milliseconds / 1000);
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  const words = hours === 0 ? `${minutes}:${two(seconds)}` : `${hours}:${two(minutes)}:${two(seconds)}`;
  return html`<time datetime="PT${total}S">${words}</time>`;
}
