import type { IncomingMessage, ServerResponse } from "node:http";
import type { Want } from "../cache/track-cache.ts";
import type { ReadingStats } from "../cache/variant-reader.ts";
import type { Clock } from "../data-source/clock.ts";
import { QUALITIES, type Quality, type TrackKey } from "../data-source/data-source.ts";
import { AfterbayError, isAfterbayError } from "../errors.ts";
import type { FlightRecorder } from "../sessions/flight-recorder.ts";
import type { Answered, RequestLog } from "../sessions/request-log.ts";
import { etagOf, judgePreconditions, rangeApplies } from "./conditional.ts";
import { sendProblem, verdictOf } from "./problem.ts";
import { contentRange, parseRange, unsatisfied } from "./ranges.ts";

/** A track that can be read: one of the cache, or a local file. */
export interface ServedTrack {
  readonly variant: ServedVariant;
  /** Times in ms of what had to be done before the variant was known. */
  readonly timing: { readonly resolveMs?: number; readonly upstreamMs?: number };
  /** Reads [start, end). With `reuseBuffer`, a chunk holds only until the next is pulled. */
  read(start: number, end: number, options: { readonly reuseBuffer: boolean }): ServedReading;
  close(): void;
}

export interface ServedVariant {
  /** Bytes; undefined where it is not known. */
  readonly size: number | undefined;
  readonly contentType: string | undefined;
  /** What the entity tag is made of. */
  readonly publicName: string;
  /** False while what is fetched cannot be kept. */
  readonly storing: boolean;
  /** The holes in [start, end) that an upstream would have to fill. */
  missing(start: number, end: number): readonly { readonly start: number; readonly end: number }[];
}

export interface ServedReading extends AsyncIterator<Uint8Array, undefined> {
  /** The next byte to give. */
  readonly position: number;
  readonly stats: ReadingStats;
  /** Set when it has waited so long that whoever reads may leave and come back for the same bytes. */
  patient: boolean;
  close(): void;
}

export interface StreamOptions {
  /** Finds or opens a track. */
  readonly enter: (want: Want) => Promise<ServedTrack>;
  readonly clock: Clock;
  /** Ms until an answer must have begun, if only with an error. */
  readonly firstByteMs: number;
  /** Ms that a client which has its headers waits for the first byte. */
  readonly patienceMs: number;
  readonly recorder: FlightRecorder;
  /** Told of errors that are nobody's answer: defects. */
  readonly onError: (error: unknown) => void;
}

export interface StreamWant extends TrackKey {
  readonly quality?: Quality;
  readonly offline?: boolean;
  /** What the player calls this playback: shown in its timeline, of no other meaning. */
  readonly play?: string;
}

/** Headers go out this long before an error would have to, if length and type are known, ms. */
const HEADERS_AHEAD_MS = 500;

const HIT = "afterbay; hit";
const PLAY_NAME = /^[\w.~-]{1,64}$/;

/** RFC 9110, section 8.3.1; of the types under `application/`, those that servers give audio. */
const MEDIA_TYPE =
  /^(?:(?:audio|video)\/[\w!#$&^.+-]+|application\/(?:octet-stream|ogg|mp4|x-flac|x-ogg)|binary\/octet-stream)(?:[ \t]*;[ \t]*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[\t\x20-\x21\x23-\x5b\x5d-\x7e]*"))*[ \t;]*$/i;

/** What a request's query says of how to play. Throws `bad-request`. */
export function wantedOf(query: URLSearchParams): Pick<StreamWant, "quality" | "offline" | "play"> {
  const quality = QUALITIES.find((known) => known === query.get("quality"));
  if (query.has("quality") && quality === undefined) {
    throw new AfterbayError("bad-request", `quality is one of ${QUALITIES.join(", ")}`);
  }
  const play = query.get("play") ?? "";
  return {
    ...(quality === undefined ? {} : { quality }),
    offline: query.get("offline") === "1",
    // Of use to its player alone: what is no name is no reason not to play.
    ...(PLAY_NAME.test(play) ? { play } : {}),
  };
}

/** What is to be sent: bytes [start, end) of the track, with the headers that say so. */
interface Plan {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly start: number;
  /** Exclusive; undefined where the size is not known. */
  readonly end: number | undefined;
  readonly hasBody: boolean;
}

/**
 * Answers `GET` and `HEAD` for a track as RFC 9110 says. Errors before the first byte are problem+json; after it the
 * socket is destroyed, so that a player resumes with a Range and takes no error text for music.
 */
export function streamHandler(options: StreamOptions) {
  return async (request: IncomingMessage, response: ServerResponse, want: StreamWant): Promise<void> => {
    const gone = new AbortController();
    const onClose = (): void => gone.abort(new DOMException("The client has left", "AbortError"));
    // A pipelined response hears of its socket's end only when its turn has come; its request hears of it at once.
    const onRequestClose = (): void => {
      if (!request.readableEnded) onClose();
    };
    response.once("close", onClose);
    request.once("close", onRequestClose);
    const log = options.recorder.begin(request, want);
    try {
      await new Answer(options, request, response, want, gone, log).send();
      // If it has not ended by itself, its client has left.
      log.ended("left");
    } catch (error) {
      const reason: unknown = isAfterbayError(error) ? error : (gone.signal.reason ?? error);
      if (gone.signal.aborted && !isAfterbayError(gone.signal.reason)) {
        log.ended("left");
        response.destroy();
      } else if (response.headersSent) {
        log.ended("cut", verdictOf(reason));
        breakOff(request, response);
      } else {
        log.ended("failed", verdictOf(reason));
        sendProblem(response, reason);
      }
      if (!isAfterbayError(error) && error !== gone.signal.reason) options.onError(error);
    } finally {
      response.off("close", onClose);
      request.off("close", onRequestClose);
    }
  };
}

class Answer {
  readonly #options: StreamOptions;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #want: StreamWant;
  readonly #gone: AbortController;
  readonly #log: RequestLog;
  readonly #began: number;

  constructor(
    options: StreamOptions,
    request: IncomingMessage,
    response: ServerResponse,
    want: StreamWant,
    gone: AbortController,
    log: RequestLog,
  ) {
    this.#options = options;
    this.#request = request;
    this.#response = response;
    this.#want = want;
    this.#gone = gone;
    this.#log = log;
    this.#began = options.clock.now();
  }

  async send(): Promise<void> {
    // Two rounds: a track that turns out to have been replaced is begun anew, if the client begins at 0 anyway.
    for (let round = 0; ; round += 1) {
      const track = await this.#enter();
      try {
        const plan = this.#plan(track.variant);
        if (!plan.hasBody || this.#request.method === "HEAD") {
          this.#response.writeHead(plan.status, { ...plan.headers, ...this.#diagnostics(track, plan, undefined) });
          this.#response.end();
          this.#log.answered({ status: plan.status });
          this.#log.ended("complete");
          return;
        }
        // Of an unknown size the end is always missing.
        const { start, end = Number.POSITIVE_INFINITY } = plan;
        if (this.#want.offline === true && track.variant.missing(start, end).length > 0) {
          throw new AfterbayError("not-cached", "Not all of these bytes are in the cache");
        }
        const reader = track.read(plan.start, plan.end ?? Number.POSITIVE_INFINITY, { reuseBuffer: true });
        this.#log.reading(reader.stats);
        try {
          const first = await this.#first(track, plan, reader);
          await this.#pump(plan, reader, first);
          return;
        } catch (error) {
          const again = isAfterbayError(error, "variant-changed") && plan.start === 0 && round === 0;
          if (!again || this.#response.headersSent) throw error;
        } finally {
          reader.close();
        }
      } finally {
        track.close();
      }
    }
  }

  async #enter(): Promise<ServedTrack> {
    const { range, "if-range": ifRange } = this.#request.headers;
    const asked = parseRange(range, undefined);
    const want: Want = {
      ...this.#want,
      position: asked.kind === "range" ? asked.start : 0,
      conditional: ifRange !== undefined,
      signal: this.#gone.signal,
      onFollow: this.#log.onFollow,
    };
    const cancel = this.#options.clock.after(this.#options.firstByteMs, () => this.#giveUp());
    try {
      const track = await this.#options.enter(want);
      const { publicName: name, contentType, size } = track.variant;
      this.#log.entered({
        name,
        ...(contentType === undefined ? {} : { contentType }),
        ...(size === undefined ? {} : { size }),
      });
      return track;
    } finally {
      cancel();
    }
  }

  #giveUp(): void {
    this.#gone.abort(new AfterbayError("upstream-timeout", "The source took too long to answer"));
  }

  #plan(variant: ServedVariant): Plan {
    const { source, id } = this.#want;
    const { size } = variant;
    const headers: Record<string, string> = {
      "content-type": servedType(variant.contentType),
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
    };
    const etag = size === undefined ? undefined : etagOf(source, id, variant.publicName);
    const verdict = judgePreconditions(this.#request.headers, etag);
    if (verdict === "precondition-failed") {
      return { status: 412, headers: { "content-length": "0" }, start: 0, end: 0, hasBody: false };
    }
    // Of an unknown length nothing can be promised: no ranges, no tag, no length.
    if (size === undefined || etag === undefined)
      return { status: 200, headers, start: 0, end: undefined, hasBody: true };
    headers.etag = etag;
    headers["accept-ranges"] = "bytes";
    if (verdict === "not-modified") {
      return { status: 304, headers: { etag, "cache-control": "no-cache" }, start: 0, end: 0, hasBody: false };
    }
    const isGet = this.#request.method === "GET";
    const applies = isGet && rangeApplies(one(this.#request.headers["if-range"]), etag);
    const asked = parseRange(applies ? this.#request.headers.range : undefined, size);
    if (asked.kind === "unsatisfiable") {
      const refusal = { "content-range": unsatisfied(size), "content-length": "0", "accept-ranges": "bytes", etag };
      return { status: 416, headers: refusal, start: 0, end: 0, hasBody: false };
    }
    if (asked.kind === "range") {
      const end = asked.end ?? size;
      headers["content-range"] = contentRange(asked.start, end, size);
      headers["content-length"] = String(end - asked.start);
      return { status: 206, headers, start: asked.start, end, hasBody: true };
    }
    headers["content-length"] = String(size);
    return { status: 200, headers, start: 0, end: size, hasBody: size > 0 };
  }

  /** Waits for the first byte, then sends the headers; sends them ahead of it where it is late and they are known. */
  async #first(track: ServedTrack, plan: Plan, reader: ServedReading): Promise<IteratorResult<Uint8Array, undefined>> {
    const { clock, firstByteMs, patienceMs } = this.#options;
    const before = this.#cacheStatus(track, plan);
    const left = this.#began + firstByteMs - clock.now();
    let cancel = (): void => {};
    const wait = (ms: number, act: () => void): void => {
      cancel = clock.after(Math.max(0, ms), () => {
        // Whoever comes back for these bytes is to find them on their way.
        reader.patient = true;
        act();
      });
    };
    const sendHeaders = (): void => {
      this.#response.writeHead(plan.status, {
        ...plan.headers,
        ...this.#diagnostics(track, plan, before, reader.stats),
      });
      const { status, start, end } = plan;
      this.#log.answered({ status, start, ...(end === undefined ? {} : { end }), cache: cacheWord(before) });
    };
    if (plan.end === undefined || track.variant.contentType === undefined) wait(left, () => this.#giveUp());
    else {
      wait(left - HEADERS_AHEAD_MS, () => {
        sendHeaders();
        this.#response.flushHeaders();
        wait(this.#began + patienceMs - clock.now(), () => this.#giveUp());
      });
    }
    try {
      const first = await reader.next();
      if (first.done !== true) this.#log.firstByte();
      if (!this.#response.headersSent) sendHeaders();
      return first;
    } finally {
      cancel();
    }
  }

  async #pump(plan: Plan, reader: ServedReading, first: IteratorResult<Uint8Array, undefined>): Promise<void> {
    const response = this.#response;
    const signal = this.#gone.signal;
    for (let result = first; result.done !== true; result = await reader.next()) {
      await written(response, result.value, signal);
      if (signal.aborted) return;
    }
    const sent = reader.position - plan.start;
    // The length was announced: what is missing of it must not look like an end.
    if (plan.end !== undefined && sent !== plan.end - plan.start) {
      this.#log.ended("cut", verdictOf(new AfterbayError("upstream-failed", "Not all bytes could be had")));
      breakOff(this.#request, response);
      return;
    }
    response.end();
    this.#log.ended("complete");
  }

  /** RFC 9211. What comes from the memory of a fill that another reader began is a hit like any other. */
  #cacheStatus({ variant, timing }: ServedTrack, plan: Plan): string {
    const stored = variant.storing ? "; stored" : "";
    // Asked for by this request, though its first bytes may be here by now.
    if (timing.upstreamMs !== undefined) return `afterbay; fwd=miss${stored}`;
    const end = plan.end ?? Number.POSITIVE_INFINITY;
    const holes = variant.missing(plan.start, end);
    if (holes.length === 0) return HIT;
    const [first] = holes;
    const nothing = holes.length === 1 && first?.start === plan.start && first.end === end;
    return `afterbay; fwd=${nothing ? "miss" : "partial"}${stored}`;
  }

  #diagnostics(
    track: ServedTrack,
    plan: Plan,
    cacheStatus: string | undefined,
    stats?: ReadingStats,
  ): Record<string, string> {
    const status = cacheStatus ?? this.#cacheStatus(track, plan);
    const isHit = status === HIT;
    const resolve = track.timing.resolveMs ?? stats?.resolveMs;
    const upstream = isHit ? 0 : (track.timing.upstreamMs ?? 0) + (stats?.upstreamMs ?? 0);
    const timings = [
      ["resolve", resolve],
      ["upstream", upstream > 0 ? upstream : undefined],
      ["cache", stats?.cacheMs ?? (isHit ? stats?.upstreamMs : undefined)],
    ].flatMap(([name, ms]) => (typeof ms === "number" ? [`${name};dur=${ms.toFixed(1)}`] : []));
    return {
      "cache-status": status,
      ...(timings.length === 0 ? {} : { "server-timing": timings.join(", ") }),
    };
  }
}

function cacheWord(cacheStatus: string): Exclude<Answered["cache"], undefined> {
  if (cacheStatus === HIT) return "hit";
  return cacheStatus.includes("fwd=partial") ? "partial" : "miss";
}

/**
 * The type that goes out: the upstream's, if it is one of media. A browser would show or run others with the rights of
 * this server's own page, and some are no header values at all; those are sent as bytes of no said kind.
 */
function servedType(contentType: string | undefined): string {
  return contentType !== undefined && MEDIA_TYPE.test(contentType) ? contentType : "application/octet-stream";
}

/** Ends a response whose headers are out, in a way that no client takes for its proper end. */
function breakOff(request: IncomingMessage, response: ServerResponse): void {
  // HTTP/1.0 knows no chunks: without a length, a connection that ends in order is the body's end.
  if (request.httpVersion === "1.0") request.socket.resetAndDestroy();
  response.destroy();
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/**
 * Writes, and settles when the kernel has taken the bytes (their buffer is used again then), or never will. The signal
 * tells, not the response: one that was pipelined and has not had its turn hears nothing of its socket's end.
 */
function written(response: ServerResponse, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    signal.addEventListener("abort", done);
    response.write(bytes, done);
  });
}
