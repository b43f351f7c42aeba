import { MiB } from "../../data-source/data-source.ts";
import type { Quality } from "../../data-source/quality.ts";
import type {
  CatalogueTrack,
  FindRequest,
  Resolution,
  Resolver,
  ResolveRequest,
} from "../../data-source/resolution.ts";
import { isAfterbayError } from "../../errors.ts";
import { Closing } from "../closing.ts";
import { type Answer, Refused } from "./answer.ts";
import { type Client, unfamiliar } from "./clients.ts";
import { type AudioFormat, choose } from "./formats.ts";
import { assertInstalled, loadLibrary } from "./library.ts";
import { Music } from "./music.ts";
import { parseYouTubeOptions } from "./options.ts";
import { mostTelling, type Refusal } from "./playability.ts";
import { YouTubeSession } from "./session.ts";
import { type TrackMemory, TrackMemories } from "./track-memory.ts";
import { nameIn, type NamedList, videoIdOf, written } from "./names.ts";

export interface YouTubeLimits {
  /** Milliseconds for each answer of YouTube's. Default 12,000. */
  readonly timeoutMs?: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** googlevideo refuses larger ranges. */
const MAX_WINDOW = MiB;
const TIMEOUT_MS = 12_000;
/** Its names for bytes: itag, time of encoding and length, as YouTube itself tells them to everyone. */
const GOOGLEVIDEO = "googlevideo";
const MUSIC_CLIENT = "YTMUSIC";
/** A client whose URLs were refused this often for a track is not asked for the same bytes again. */
const MAX_DEMERITS = 2;

/** A format that can be handed out. */
interface Found {
  readonly client: Client;
  readonly answer: Answer;
  readonly format: AudioFormat;
}

/**
 * The `youtube` source, by youtubei.js. `query` is what stands behind `youtube?`.
 *
 * The clients are asked in their order until one may play the track; each attempt begins with the next one, and those whose
 * URLs were refused come last. Where bytes of a variant are held already, the same variant is looked for among all clients
 * before another one is given.
 *
 * Rejects with an Error of one line for options that cannot work, and where youtubei.js is missing; it is loaded only when
 * the first track is resolved.
 */
export async function createYouTube(query: string, limits: YouTubeLimits = {}): Promise<Resolver> {
  const options = parseYouTubeOptions(query);
  assertInstalled();
  await assertKnown(options.clients);
  const { now = () => performance.now(), timeoutMs = TIMEOUT_MS } = limits;
  const closing = new Closing();
  const { base } = options;
  const session = new YouTubeSession({ ...(base && { base }), timeoutMs, now, closed: closing.signal });
  const memories = new TrackMemories(now);
  // Whoever names a version of it for playing means it here as well.
  const remix = options.clients.find(({ name }) => name === MUSIC_CLIENT) ?? { name: MUSIC_CLIENT };
  const music = new Music({
    ask: (endpoint, args, signal) => session.post(endpoint, args, remix, signal),
    now,
  });
  const list = (named: NamedList, request: FindRequest): Promise<readonly CatalogueTrack[]> =>
    closing.run(request.signal, (signal) => music.list(named, { ...request, signal }));

  return {
    ...(base && { hosts: [base.host] }),
    maxWindow: MAX_WINDOW,
    variantFamily: GOOGLEVIDEO,
    resolve: (id, request) =>
      closing.run(request.signal, async (signal) => {
        const videoId = videoIdOf(id);
        const quality = request.quality ?? options.quality;
        const about = { ...request, signal, quality };
        const resolution = await new Search(session, options.clients, videoId, memories.of(videoId), about).run();
        // Players are told less than lists; whoever asked by a link is answered for that link.
        return { ...music.factsOf(videoId), ...resolution, id };
      }),
    canonical(text) {
      const named = nameIn(text);
      return named && written(named);
    },
    search: (words, request) => closing.run(request.signal, (signal) => music.search(words, { ...request, signal })),
    expand(id, request) {
      const named = nameIn(id);
      return named === undefined || named.kind === "track" ? undefined : list(named, request);
    },
    async similar(id, { limit, ...request }) {
      const videoId = videoIdOf(id);
      // A radio begins with its own track.
      const tracks = await list({ kind: "radio", id: videoId }, { ...request, limit: limit + 1 });
      return tracks.filter((track) => track.id !== videoId).slice(0, limit);
    },
    async close() {
      closing.end();
      await session.close();
    },
  };
}

/** Names that this release does not know are held against the library, which may be newer. */
async function assertKnown(clients: readonly Client[]): Promise<void> {
  const names = unfamiliar(clients);
  if (names.length === 0) return;
  const known = (await loadLibrary()).Constants.SUPPORTED_CLIENTS;
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`youtubei.js knows no client ${unknown.join(", ")}; it knows ${known.join(", ")}`);
  }
}

/** One call of the resolver. */
class Search {
  readonly #session: YouTubeSession;
  readonly #clients: readonly Client[];
  readonly #videoId: string;
  readonly #memory: TrackMemory;
  readonly #request: ResolveRequest & { readonly quality: Quality };
  readonly #refusals: Refusal[] = [];
  /** What could be fetched slowly, for want of the player script that changes `n`. */
  readonly #spare: Found[] = [];

  constructor(
    session: YouTubeSession,
    clients: readonly Client[],
    videoId: string,
    memory: TrackMemory,
    request: ResolveRequest & { readonly quality: Quality },
  ) {
    this.#session = session;
    this.#clients = clients;
    this.#videoId = videoId;
    this.#memory = memory;
    this.#request = request;
  }

  async run(): Promise<Resolution> {
    const { blocked } = this.#memory;
    if (blocked !== undefined) throw blocked;
    this.#learn();
    try {
      return await this.#find();
    } catch (error) {
      if (isAfterbayError(error, "busy")) this.#memory.block(error);
      throw error;
    }
  }

  async #find(): Promise<Resolution> {
    const memory = this.#memory;
    const { attempt, variant: held, quality } = this.#request;
    const others: Found[] = [];
    for (const client of memory.order(this.#clients, attempt)) {
      const unlucky = memory.demeritsOf(client.name) >= MAX_DEMERITS;
      if (unlucky && others.length > 0) continue;
      let answer: Answer | undefined;
      try {
        answer = await this.#ask(client);
      } catch (error) {
        // Where something can be played, only the search for something better is over.
        if (others.length === 0 || this.#request.signal.aborted) throw error;
        break;
      }
      if (answer === undefined) continue;
      const same = held === undefined ? undefined : answer.formats.find(({ variant }) => variant === held);
      const format = same ?? choose(answer.formats, quality);
      if (format === undefined) continue;
      const found = { client, answer, format };
      const searching = held !== undefined && (same === undefined || unlucky);
      const resolution = searching ? undefined : await this.#handOut(found);
      if (resolution !== undefined) return resolution;
      if (searching) others.push(found);
    }
    for (const found of others) {
      const resolution = await this.#handOut(found);
      if (resolution !== undefined) return resolution;
    }
    for (const found of this.#spare) return this.#resolve(found, new URL(found.format.format.url ?? ""));
    throw mostTelling(this.#refusals);
  }

  /** What the reason says of the URL that was handed out before. */
  #learn(): void {
    const memory = this.#memory;
    const { reason, attempt, quality } = this.#request;
    if (reason === "expired") memory.forgetAnswers();
    const served = memory.served.get(quality);
    if (reason === "first" || reason === "expired" || served === undefined) return;
    memory.blame(served.client);
    memory.served.delete(quality);
    // Once within a need: what a new script's URL is refused for is not the script.
    if (attempt === 2 && served.generation !== undefined) this.#session.script.renew(served.generation);
  }

  /** A client's answer; undefined where it may not play the track. Throws what no other client can mend. */
  async #ask(client: Client): Promise<Answer | undefined> {
    const memory = this.#memory;
    const kept = memory.answerOf(client.name);
    if (kept !== undefined && this.#session.isCurrent(kept)) return kept;
    try {
      const answer = await this.#session.ask(this.#videoId, client, this.#request.signal);
      memory.keep(client.name, answer);
      return answer;
    } catch (error) {
      this.#note(error, client);
      return undefined;
    }
  }

  async #handOut(found: Found): Promise<Resolution | undefined> {
    const { client, answer, format } = found;
    try {
      return this.#resolve(found, new URL(await this.#session.locate(client, answer, format, this.#request.signal)));
    } catch (error) {
      this.#note(error, client);
      if (format.format.url !== undefined) this.#spare.push(found);
      return undefined;
    }
  }

  #resolve(found: Found, url: URL): Resolution {
    const { client, answer, format } = found;
    const { generation } = answer;
    this.#memory.served.set(this.#request.quality, {
      client: client.name,
      ...(format.needsScript && generation !== undefined && { generation }),
    });
    return resolutionOf(found, url, this.#session.userAgentOf(client));
  }

  /** Throws where another client would fare no better. */
  #note(error: unknown, client: Client): void {
    if (error instanceof Refused) {
      if (error.refusal.final) throw error.refusal.error;
      this.#refusals.push(error.refusal);
      return;
    }
    if (isAfterbayError(error, "upstream-failed")) {
      this.#refusals.push({ error, about: "client", final: false });
      return;
    }
    // The next call, after a wait, begins with another client.
    if (!isAfterbayError(error, "busy") && !this.#request.signal.aborted) this.#memory.blame(client.name);
    throw error;
  }
}

function resolutionOf({ answer, format }: Found, url: URL, userAgent: string): Omit<Resolution, "id"> {
  return {
    ...answer.metadata,
    url: url.href,
    headers: { "user-agent": userAgent },
    contentType: format.contentType,
    maxWindow: MAX_WINDOW,
    ...(format.variant !== undefined && { variant: format.variant }),
    ...(format.contentLength !== undefined && { contentLength: format.contentLength }),
    ...(format.expiresAt !== undefined && { expiresAt: format.expiresAt }),
    ...(format.durationMs !== undefined && { durationMs: format.durationMs }),
    ...(format.loudnessDb !== undefined && { loudnessDb: format.loudnessDb }),
  };
}
