import type { TrackKey } from "../data-source/data-source.ts";
import { encodeSegment, isSourceKey, isTrackId, trackKey, trackPath } from "../http/track-path.ts";
import type { RequestOutcome } from "./outcome.ts";
import type { TrackFacts } from "./playback.ts";

export interface RemoteProxyOptions {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly token?: string;
  /** The name of this player's wish list: 1 to 100 letters, digits or `._~-`. */
  readonly list: string;
}

/** An answer that takes longer is none, ms. */
const LIMIT_MS = 3000;
/** Its source may have to be asked, ms. */
const SIMILAR_LIMIT_MS = 25_000;
const SIMILAR = 25;
const OUTCOMES = ["open", "complete", "left", "cut", "failed"] as const;
const CODE = /^[a-z-]{1,40}$/;
/** Tracks of which facts are kept. */
const KEPT = 1000;

/**
 * What a playback needs of an Afterbay server in another process, over its HTTP API. Nothing of what a server answers is
 * taken for more than it is.
 */
export class RemoteProxy {
  readonly #options: RemoteProxyOptions;
  readonly #facts = new Map<string, TrackFacts>();

  constructor(options: RemoteProxyOptions) {
    this.#options = options;
  }

  /** What a player opens. */
  readonly urlFor = ({ source, id }: TrackKey): string => {
    const { url, token } = this.#options;
    return `${url}${trackPath(source, id)}${token === undefined ? "" : `?token=${encodeSegment(token)}`}`;
  };

  /** Rejects if the server cannot be asked. */
  readonly outcomeOf = async (play: string): Promise<RequestOutcome | undefined> => {
    const { sessions } = fieldsOf(await this.#ask("GET", `/api/sessions?play=${encodeSegment(play)}`));
    const [session] = Array.isArray(sessions) ? (sessions as unknown[]) : [];
    const { outcome: said, status, code, retryAfterMs } = fieldsOf(session);
    const outcome = OUTCOMES.find((one) => one === said);
    if (outcome === undefined) return undefined;
    return {
      outcome,
      ...(isNumber(status) ? { status } : {}),
      ...(typeof code === "string" && CODE.test(code) ? { code } : {}),
      ...(isNumber(retryAfterMs) ? { retryAfterMs } : {}),
    };
  };

  /** Replaces this player's wish list, and learns what is known of its tracks. Rejects if the server does not take it. */
  readonly prefetch = async (tracks: readonly TrackKey[]): Promise<void> => {
    const ids = tracks.map(({ source, id }) => trackKey(source, id));
    await this.#ask("PUT", `/api/prefetch?list=${encodeSegment(this.#options.list)}`, { ids, mode: "full" });
    await Promise.all(tracks.map((track) => this.#learn(track)));
  };

  /** Bytes of a track that are in the cache. Rejects if the server cannot be asked. */
  readonly cachedBytes = async (track: TrackKey): Promise<number> => {
    const { cachedBytes } = await this.#track(track);
    return isNumber(cachedBytes) ? cachedBytes : 0;
  };

  /** What to play after a track. Rejects where its source does not know, or if the server cannot be asked. */
  readonly similar = async ({ source, id }: TrackKey, signal: AbortSignal): Promise<readonly TrackKey[]> => {
    const until = AbortSignal.any([signal, AbortSignal.timeout(SIMILAR_LIMIT_MS)]);
    const path = `/api/tracks/${trackKey(source, id)}/similar?limit=${SIMILAR}`;
    const { tracks } = fieldsOf(await this.#ask("GET", path, undefined, until));
    return (Array.isArray(tracks) ? tracks : []).map(fieldsOf).flatMap((track) => {
      const [of, named] = [track["source"], track["id"]];
      const isTrack = typeof of === "string" && typeof named === "string" && isSourceKey(of) && isTrackId(named);
      return isTrack ? [{ source: of, id: named }] : [];
    });
  };

  /** What the server said of a track when it was last on the wish list. */
  readonly factsOf = ({ source, id }: TrackKey): TrackFacts | undefined => this.#facts.get(trackKey(source, id));

  /** Never rejects: facts are a convenience. */
  async #learn(track: TrackKey): Promise<void> {
    const { durationMs, loudnessDb } = await this.#track(track).catch(() => fieldsOf(undefined));
    const key = trackKey(track.source, track.id);
    this.#facts.delete(key);
    this.#facts.set(key, {
      ...(isNumber(durationMs) && durationMs > 0 ? { durationMs } : {}),
      ...(isNumber(loudnessDb) ? { loudnessDb } : {}),
    });
    const [oldest] = this.#facts.keys();
    if (this.#facts.size > KEPT && oldest !== undefined) this.#facts.delete(oldest);
  }

  async #track({ source, id }: TrackKey): Promise<Record<string, unknown>> {
    return fieldsOf(await this.#ask("GET", `/api/tracks/${trackKey(source, id)}`));
  }

  async #ask(
    method: string,
    path: string,
    body?: unknown,
    signal: AbortSignal = AbortSignal.timeout(LIMIT_MS),
  ): Promise<unknown> {
    const { url, token } = this.#options;
    const response = await fetch(url + path, {
      method,
      signal,
      redirect: "error",
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`The server answered ${response.status}`);
    }
    return await response.json();
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
