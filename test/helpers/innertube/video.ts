/** Innertube's own names of clients: `VISIONOS`, `TVHTML5`, `WEB_EMBEDDED_PLAYER`, `iOS`. */
export type ClientName = string;

/** A file that googlevideo has of a video. */
export interface FakeFormat {
  readonly itag: number;
  /** Microseconds, as a number in text. Another one is another file. */
  readonly lmt?: string;
  /** Bytes. */
  readonly size: number;
  readonly mime?: string;
  readonly bitrate?: number;
  readonly loudnessDb?: number;
  /** The answer and the URL leave the length out. */
  readonly unsized?: boolean;
  /** Length and lmt stand in the URL only. */
  readonly terse?: boolean;
  readonly drm?: boolean;
  /** A track in another language, or with its loudness levelled. */
  readonly audioTrack?: { readonly id: string; readonly isDefault: boolean };
  readonly drc?: boolean;
}

/** How googlevideo treats the URLs of one client. Default: every bounded range is served. */
export interface UrlRules {
  /** Ms that a URL lives. Default 6 h. */
  readonly lifetimeMs?: number;
  /** The address the URL is bound to. Default: that of whoever asked. */
  readonly ip?: string;
  /** Bytes; a longer range is refused. Default: as {@link FakeYouTube.maxRange}. */
  readonly maxRange?: number;
  /** Bytes: what lies beyond is refused, whatever the URL. A range that crosses it is cut short, or refused as well. */
  readonly upTo?: number | { readonly at: number; readonly crossing: "short" | "refused" };
  /** The URLs of the first so many answers are dead from the start; `true`: all of them. */
  readonly dead?: number | true;
}

/** What one client is told of a video. */
export interface ClientView {
  readonly playability?: { readonly status: string; readonly reason?: string; readonly subreason?: string };
  /** Default: those of the video. */
  readonly formats?: readonly FakeFormat[];
  /** The answer is about this video. */
  readonly answersFor?: string;
  /** URLs are signed by the player script. */
  readonly ciphered?: boolean;
  /** URLs hold an `n` that the player script changes. */
  readonly throttled?: boolean;
  /** No URL but that of SABR. */
  readonly sabrOnly?: boolean;
  readonly live?: boolean;
  /** Instead of an answer. */
  readonly http?: {
    readonly status: number;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
  };
  /** Answers when the test says so. */
  readonly hangs?: boolean;
  readonly urls?: UrlRules;
}

export interface FakeVideo {
  readonly title?: string;
  readonly author?: string;
  readonly description?: string;
  readonly seconds?: number;
  readonly loudnessDb?: number;
  readonly formats: readonly FakeFormat[];
  /** By client; `*` is what the others are told. */
  readonly clients?: Readonly<Record<ClientName, ClientView>>;
}

/** What YouTube has of most songs: Opus at three rates, AAC at one. */
export function usualFormats(seconds = 200): readonly FakeFormat[] {
  const opus = 'audio/webm; codecs="opus"';
  const size = (bitrate: number): number => Math.round((bitrate / 8) * seconds);
  return [
    {
      itag: 140,
      mime: 'audio/mp4; codecs="mp4a.40.2"',
      bitrate: 130_000,
      size: size(130_000),
      lmt: "1700000000000140",
    },
    { itag: 249, mime: opus, bitrate: 51_000, size: size(51_000), lmt: "1700000000000249" },
    { itag: 250, mime: opus, bitrate: 68_000, size: size(68_000), lmt: "1700000000000250" },
    { itag: 251, mime: opus, bitrate: 128_000, size: size(128_000), lmt: "1700000000000251", loudnessDb: -3.5 },
  ];
}

export function lastModified({ lmt = "1700000000000000" }: FakeFormat): string {
  return lmt;
}

export function variantOf(format: FakeFormat): string {
  return [format.itag, lastModified(format), ...(format.unsized === true ? [] : [format.size])].join("-");
}
