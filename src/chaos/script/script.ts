import { ConfigError } from "../../errors.ts";
import type { Version } from "../upstream/bytes.ts";
import { type Faults, faults, headerValue, status, version } from "./faults.ts";
import {
  complain,
  count,
  duration,
  flag,
  map,
  needed,
  object,
  orNull,
  type Reader,
  seed,
  size,
  text,
  yes,
} from "./reader.ts";
import { type ResolutionChanges, type ResolverRule, resolution, resolverRules } from "./resolve.ts";

/** What a chaos server serves. `docs/chaos.md` is its page. */
export interface ChaosScript {
  /** What it shows, for whoever gets it with a bug report. */
  readonly about?: string;
  readonly seed?: number;
  /** For every track; a track's own faults win a field. */
  readonly faults?: Faults;
  readonly tracks: ReadonlyMap<string, TrackScript>;
}

export interface TrackScript {
  /** What goes wrong with it, in a few words. */
  readonly about?: string;
  /** What a player is to see through Afterbay: `plays`, or the code of an error. */
  readonly expect?: string;
  /** Bytes of generated audio. */
  readonly size?: number;
  /** The path of an audio file. */
  readonly file?: string;
  readonly contentType?: string | null;
  readonly etag?: string;
  readonly lastModified?: string;
  readonly version?: Version;
  readonly unknownLength?: boolean;
  readonly urls?: UrlScript;
  /** What the resolver says otherwise at every call. */
  readonly resolution?: ResolutionChanges;
  readonly resolve?: readonly ResolverRule[];
  readonly faults?: Faults;
}

/** How long the URLs of a track are good, each for itself. With it, only URLs from the resolver are. */
export interface UrlScript {
  /** Milliseconds. */
  readonly lifetime?: number;
  readonly bytes?: number;
  readonly requests?: number;
  /** What an expired URL is answered with. Default 403. */
  readonly status?: number;
  /** The resolution has `expiresAt`. */
  readonly told?: true;
}

const urls: Reader<UrlScript> = (value, at) => {
  const read = object({ lifetime: duration, bytes: size, requests: count, status, told: yes })(value, at);
  if (read.told && read.lifetime === undefined) throw new ConfigError(`${at}: "told" needs a "lifetime" to tell`);
  return read;
};

const track: Reader<TrackScript> = (value, at) => {
  const read = object({
    about: text,
    expect: text,
    size,
    file: text,
    contentType: orNull(headerValue),
    etag: headerValue,
    lastModified: headerValue,
    version,
    unknownLength: flag,
    urls,
    resolution,
    resolve: resolverRules,
    faults,
  })(value, at);
  if (read.file !== undefined && read.size !== undefined) {
    throw new ConfigError(`${at}: "file" has a size of its own; leave out "size"`);
  }
  return read;
};

/** An id is one segment of a path. `chaos` and `resolve` are taken. */
const trackId: Reader<string> = (value, at) =>
  typeof value === "string" && /^(?!\.{1,2}$)[\w.~-]{1,200}$/.test(value) && !["chaos", "resolve"].includes(value)
    ? value
    : complain(at, value, "a track's id: 1 to 200 letters, digits and ._~-, and neither chaos nor resolve");

/** Reads a script out of a JSON value. Throws a ConfigError that names the place. */
export function readScript(value: unknown): ChaosScript {
  const read = object({ about: text, seed, faults, tracks: map(track, trackId) })(value, "");
  const tracks = needed(read.tracks, "", "tracks");
  if (tracks.size === 0) throw new ConfigError("tracks: there is none");
  return { ...read, tracks };
}
