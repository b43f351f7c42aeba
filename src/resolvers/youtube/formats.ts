import type { Quality } from "../../data-source/quality.ts";
import type { LibraryFormat, VideoInfo } from "./library.ts";

/** One way in which YouTube has a track's sound. */
export interface AudioFormat {
  readonly itag: number;
  /** Names the exact bytes; undefined where YouTube says too little. */
  readonly variant: string | undefined;
  /** `audio/webm; codecs="opus"` */
  readonly contentType: string;
  readonly opus: boolean;
  /** Bits per second. */
  readonly bitrate: number;
  /** Bytes. */
  readonly contentLength: number | undefined;
  readonly durationMs: number | undefined;
  readonly loudnessDb: number | undefined;
  /** Epoch milliseconds; its URL is not used after it. */
  readonly expiresAt: number | undefined;
  /** Its URL is made by the player script: it is signed, or has an `n` that must be changed. */
  readonly needsScript: boolean;
  readonly format: LibraryFormat;
}

/** Why an answer has no format to play. */
export type Lack = "drm" | "sabr" | "live" | "nothing";

/** The sound formats of an answer that can be fetched, or why there are none. */
export function audioFormats({ streaming_data: data }: VideoInfo): readonly AudioFormat[] | Lack {
  const all = (data?.adaptive_formats ?? []).filter(({ mime_type: type }) => type?.startsWith("audio/"));
  const clear = all.filter((format) => !isProtected(format));
  if (clear.length === 0 && all.length > 0) return "drm";
  // Segments that are made on demand have no ranges.
  const located = clear.filter((format) => urlOf(format) !== undefined && !format.is_type_otf);
  if (located.length > 0) return preferred(located).map((format) => describe(format, data?.expires.getTime()));
  if (data?.server_abr_streaming_url !== undefined) return "sabr";
  return data?.hls_manifest_url === undefined ? "nothing" : "live";
}

/**
 * The format for a quality, as the app that Afterbay grew out of has them: low is itag 140, else the lowest bitrate; medium
 * is 251, else 140, else the best; high is the best Opus, else the best; ultra is the highest bitrate.
 */
export function choose(formats: readonly AudioFormat[], quality: Quality): AudioFormat | undefined {
  const best = formats.toSorted((a, b) => b.bitrate - a.bitrate);
  const itag = (wanted: number): AudioFormat | undefined => best.find((format) => format.itag === wanted);
  const wishes: Readonly<Record<Quality, AudioFormat | undefined>> = {
    low: itag(140) ?? best.at(-1),
    medium: itag(251) ?? itag(140),
    high: best.find(({ opus }) => opus),
    ultra: best[0],
  };
  return wishes[quality] ?? best[0];
}

function isProtected({ drm_families: families, fair_play_key_uri: fairPlay }: LibraryFormat): boolean {
  return (families?.length ?? 0) > 0 || fairPlay !== undefined;
}

/** Of several tracks of one video, the original one, without a compressed range of loudness. */
function preferred(formats: readonly LibraryFormat[]): readonly LibraryFormat[] {
  const wishes: ((format: LibraryFormat) => boolean)[] = [
    ({ is_drc, is_vb }) => is_drc !== true && is_vb !== true,
    ({ is_original }) => is_original !== false,
    ({ audio_track }) => audio_track?.audio_is_default !== false,
  ];
  return wishes.reduce((left, wish) => {
    const granted = left.filter(wish);
    return granted.length > 0 ? granted : left;
  }, formats);
}

/** `expires`: when the URLs of the answer end, epoch ms; NaN where it does not say. */
function describe(format: LibraryFormat, expires = Number.NaN): AudioFormat {
  const url = urlOf(format) as URL;
  const parameter = (name: string): string | undefined => /^\d+$/.exec(url.searchParams.get(name) ?? "")?.[0];
  const contentLength = format.content_length ?? parameter("clen");
  const lastModified = /^\d+$/.exec(format.last_modified_ms)?.[0] ?? parameter("lmt");
  const bytes = Number(contentLength);
  const expiresAt = Number(parameter("expire") ?? expires / 1000) * 1000;
  return {
    itag: format.itag,
    variant: lastModified && [format.itag, lastModified, ...(Number.isSafeInteger(bytes) ? [bytes] : [])].join("-"),
    contentType: format.mime_type,
    opus: format.mime_type.includes("opus"),
    bitrate: format.bitrate || 0,
    contentLength: Number.isSafeInteger(bytes) ? bytes : undefined,
    durationMs: format.approx_duration_ms || undefined,
    loudnessDb: format.loudness_db,
    expiresAt: Number.isFinite(expiresAt) ? expiresAt : undefined,
    needsScript: format.url === undefined || url.searchParams.has("n"),
    format,
  };
}

/** The format's URL as it came: not signed yet, where that is for the script to do. */
function urlOf({ url, signature_cipher, cipher }: LibraryFormat): URL | undefined {
  const text = url ?? new URLSearchParams(signature_cipher ?? cipher ?? "").get("url") ?? "";
  return URL.canParse(text) ? new URL(text) : undefined;
}
