import { readFile } from "node:fs/promises";
import { basename, extname, resolve as resolvePath } from "node:path";
import { ConfigError } from "../errors.ts";
import { type ChaosTrack, control } from "./control.ts";
import { ScriptedResolver } from "./resolver.ts";
import type { Faults } from "./script/faults.ts";
import { randomRule } from "./script/random.ts";
import { readScript, type ChaosScript, type TrackScript } from "./script/script.ts";
import { type Clock, realClock } from "./upstream/clock.ts";
import type { ResourceOptions } from "./upstream/resource.ts";
import type { Rule } from "./upstream/script.ts";
import { startUpstream, type Upstream } from "./upstream/server.ts";
import { WAV_TYPE, wavContent } from "./wav.ts";

export interface ChaosOptions {
  /** A script as a JSON value; `docs/chaos.md` says what it holds. */
  readonly script: unknown;
  /** Where a track's `file` starts at. */
  readonly directory: string;
  /** Default: any free one. */
  readonly port?: number;
  /** Equal seeds, equal bytes and equal lots. Default: the script's, or 1. */
  readonly seed?: number;
  /** Told of what went wrong that no script asked for. */
  readonly onFault: (error: unknown) => void;
  /** Default: real time. */
  readonly clock?: Clock;
}

/** A running chaos server. */
export interface Chaos {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  /** For `webhook:`, with `{id}` to be filled in. */
  readonly template: string;
  readonly tracks: readonly ChaosTrack[];
  close(): Promise<void>;
}

/** Bytes of a generated track: 30 s, and three windows of Afterbay's. */
const DEFAULT_SIZE = 1_323_000;
/** A file is held in memory, so that its bytes are the same all the time. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;

/**
 * Starts an upstream on 127.0.0.1 that misbehaves as `script` says. Throws a ConfigError with one line for a script that
 * cannot be, and the system's error where the port cannot be had.
 */
export async function startChaos({
  script: source,
  directory,
  port,
  seed,
  onFault,
  clock = realClock,
}: ChaosOptions): Promise<Chaos> {
  const script = readScript(source);
  const seedUsed = seed ?? script.seed ?? 1;
  const resources = await resourcesOf(script, directory, seedUsed);
  const upstream = await startUpstream({ seed: seedUsed, ...(port !== undefined && { port }), onFault, ...clock });
  for (const [id, options] of resources) upstream.resource(id, options);
  const rewind = (): void => {
    for (const [id, track] of script.tracks) upstream.script(id, rulesOf(track, script.faults, seedUsed));
  };
  rewind();
  const { tracks: scripts } = script;
  const resolver = new ScriptedResolver({ upstream, tracks: scripts, delay: clock.delay, now: Date.now });
  const webhook = upstream.webhook({ resolve: (id, query, signal) => resolver.resolve(id, query, signal) });
  const tracks = Array.from(scripts, ([id, track]) => listed(id, track, upstream));
  upstream.route("/chaos", control({ upstream, webhook, resolver, tracks, seed: seedUsed, source, rewind }));
  return { url: upstream.origin, template: `${upstream.origin}/resolve/{id}`, tracks, close: () => upstream.close() };
}

function listed(id: string, { about = "", expect = "", urls }: TrackScript, upstream: Upstream): ChaosTrack {
  return { id, about, expect, size: upstream.size(id), signed: urls !== undefined };
}

/** A track's own rules come first: they win a field. Of random faults there is one kind at a time. */
function rulesOf({ faults: own }: TrackScript, all: Faults | undefined, seed: number): Rule[] {
  const random = own?.random ?? all?.random;
  return [
    ...(own?.rules ?? []),
    ...(all?.rules ?? []),
    ...(random === undefined ? [] : [randomRule(random, random.seed ?? seed)]),
  ];
}

async function resourcesOf(
  { tracks }: ChaosScript,
  directory: string,
  seed: number,
): Promise<ReadonlyMap<string, ResourceOptions>> {
  const found = new Map<string, ResourceOptions>();
  for (const [id, track] of tracks) {
    const { contentType, etag, lastModified, version, unknownLength, urls, file, size = DEFAULT_SIZE } = track;
    const content =
      file === undefined
        ? wavContent(seed, id, size)
        : await readAudio(resolvePath(directory, file), `tracks.${id}.file`);
    found.set(id, {
      content,
      ...(file === undefined && { size }),
      contentType: contentType === undefined ? typeOf(file) : contentType,
      ...(etag !== undefined && { etag }),
      ...(lastModified !== undefined && { lastModified }),
      ...(version !== undefined && { version }),
      ...(unknownLength !== undefined && { unknownLength }),
      signed: urls !== undefined,
    });
  }
  return found;
}

const TYPES: Readonly<Record<string, string>> = {
  ".aac": "audio/aac",
  ".flac": "audio/flac",
  ".m4a": "audio/mp4",
  ".mp3": "audio/mpeg",
  ".oga": "audio/ogg",
  ".ogg": "audio/ogg",
  ".opus": "audio/ogg",
  ".wav": WAV_TYPE,
  ".webm": "audio/webm",
};

function typeOf(file: string | undefined): string {
  return file === undefined ? WAV_TYPE : (TYPES[extname(file).toLowerCase()] ?? "application/octet-stream");
}

async function readAudio(path: string, at: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    throw new ConfigError(`${at}: ${basename(path)} cannot be read${code === "" ? "" : ` (${code})`}`, {
      cause: error,
    });
  }
  if (bytes.length > MAX_FILE_BYTES) throw new ConfigError(`${at}: ${basename(path)} is larger than 512 MiB`);
  return bytes;
}
