import type { IncomingMessage, ServerResponse } from "node:http";
import type { Want } from "../cache/track-cache.ts";
import type { ReadingStats } from "../cache/variant-reader.ts";
import type { Clock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import { QUALITIES, type Quality } from "../data-source/quality.ts";
import type { Resolution } from "../data-source/resolution.ts";
import { AfterbayError, isAfterbayError } from "../errors.ts";
import type { FlightRecorder } from "../sessions/flight-recorder.ts";
import type { Answered, RequestLog } from "../sessions/request-log.ts";
import { keepsPromise, type Plan, planAnswer } from "./plan.ts";
import { sendProblem, verdictOf } from "./problem.ts";
import { parseRange } from "./ranges.ts";

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
  /** What a track's resolver says of it while it is being opened; undefined before it has said anything. */
  readonly hintOf: (want: Want) => Pick<Resolution, "contentLength" | "contentType" | "variant"> | undefined;
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

/** Headers go out when this share of the time until an error would have to is left, if length and type are known: at 3.5 s of 4. */
const HEADERS_AHEAD = 1 / 8;

const HIT = "afterbay; hit";
const PLAY_NAME = /^[\w.~-]{1,64}$/;

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
  /** What was said in headers that went out before a byte was there. */
  #promised: Plan | undefined;

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
        const plan = planAnswer(this.#request, this.#want, track.variant);
        if (this.#promised !== undefined && !keepsPromise(this.#promised, plan)) {
          throw new AfterbayError("variant-changed", "The upstream's bytes are not those that the source announced");
        }
        if (!plan.hasBody || this.#request.method === "HEAD") {
          const cacheStatus = this.#cacheStatus(track, plan);
          const timings = this.#timings(track, cacheStatus);
          this.#response.writeHead(plan.status, { ...plan.headers, "cache-status": cacheStatus, ...timings });
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
    const { method, headers } = this.#request;
    const asked = parseRange(headers.range, undefined);
    const want: Want = {
      ...this.#want,
      position: asked.kind === "range" ? asked.start : 0,
      sizeOnly: method === "HEAD" || asked.kind === "suffix",
      conditional: headers["if-range"] !== undefined,
      signal: this.#gone.signal,
      isPatient: () => this.#promised !== undefined,
      onFollow: this.#log.onFollow,
    };
    const cancel = this.#hurry(
      () => this.#planByHint(want),
      (plan) => this.#sendHeaders(plan, "afterbay; fwd=miss"),
    );
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

  /** The answer as it will be if the resolver is right. Only bytes are promised by its word, no verdict. */
  #planByHint(want: Want): Plan | undefined {
    const { contentLength: size, contentType, variant: publicName } = this.#options.hintOf(want) ?? {};
    if (size === undefined || contentType === undefined || this.#request.method === "HEAD") return undefined;
    const plan = planAnswer(this.#request, this.#want, { size, contentType, publicName });
    return plan.hasBody ? plan : undefined;
  }

  /**
   * Keeps to the time that a player waits: in the last half second before an error would be due sends the headers, if
   * there is a plan, and gives up when patience ends; else gives up when the error is due. `onLate` is told before either.
   * The returned function ends it.
   */
  #hurry(planned: () => Plan | undefined, send: (plan: Plan) => void, onLate = (): void => {}): () => void {
    const { clock, firstByteMs, patienceMs } = this.#options;
    let cancel = (): void => {};
    const at = (ms: number, act: () => void): void => {
      cancel = clock.after(Math.max(0, this.#began + ms - clock.now()), act);
    };
    const giveUp = (): void => {
      onLate();
      this.#gone.abort(new AfterbayError("upstream-timeout", "The source took too long to answer"));
    };
    const waitPatiently = (): void => at(patienceMs, giveUp);
    const sendAhead = (otherwise: () => void): void => {
      const plan = planned();
      if (plan === undefined) return otherwise();
      onLate();
      this.#promised = plan;
      send(plan);
      this.#response.flushHeaders();
      waitPatiently();
    };
    if (this.#response.headersSent) waitPatiently();
    else {
      at(firstByteMs * (1 - HEADERS_AHEAD), () => {
        sendAhead(() => at(firstByteMs, () => sendAhead(giveUp)));
      });
    }
    return () => cancel();
  }

  #sendHeaders(plan: Plan, cacheStatus: string, timings: Record<string, string> = {}): void {
    this.#response.writeHead(plan.status, { ...plan.headers, "cache-status": cacheStatus, ...timings });
    const { status, start, end } = plan;
    this.#log.answered({ status, start, ...(end === undefined ? {} : { end }), cache: cacheWord(cacheStatus) });
  }

  /** Waits for the first byte, then sends the headers; sends them ahead of it where it is late and they are known. */
  async #first(track: ServedTrack, plan: Plan, reader: ServedReading): Promise<IteratorResult<Uint8Array, undefined>> {
    const before = this.#cacheStatus(track, plan);
    const send = (): void => this.#sendHeaders(plan, before, this.#timings(track, before, reader.stats));
    const known = plan.end !== undefined && track.variant.contentType !== undefined;
    // Whoever comes back for these bytes is to find them on their way.
    reader.patient = this.#promised !== undefined;
    const cancel = this.#hurry(
      () => (known ? plan : undefined),
      send,
      () => {
        reader.patient = true;
      },
    );
    try {
      const first = await reader.next();
      if (first.done !== true) this.#log.firstByte();
      if (!this.#response.headersSent) send();
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

  #timings({ timing }: ServedTrack, cacheStatus: string, stats?: ReadingStats): Record<string, string> {
    const isHit = cacheStatus === HIT;
    const resolve = timing.resolveMs ?? stats?.resolveMs;
    const upstream = isHit ? 0 : (timing.upstreamMs ?? 0) + (stats?.upstreamMs ?? 0);
    const timings = [
      ["resolve", resolve],
      ["upstream", upstream > 0 ? upstream : undefined],
      ["cache", stats?.cacheMs ?? (isHit ? stats?.upstreamMs : undefined)],
    ].flatMap(([name, ms]) => (typeof ms === "number" ? [`${name};dur=${ms.toFixed(1)}`] : []));
    return timings.length === 0 ? {} : { "server-timing": timings.join(", ") };
  }
}

function cacheWord(cacheStatus: string): Exclude<Answered["cache"], undefined> {
  if (cacheStatus === HIT) return "hit";
  return cacheStatus.includes("fwd=partial") ? "partial" : "miss";
}

/** Ends a response whose headers are out, in a way that no client takes for its proper end. */
function breakOff(request: IncomingMessage, response: ServerResponse): void {
  // HTTP/1.0 knows no chunks: without a length, a connection that ends in order is the body's end.
  if (request.httpVersion === "1.0") request.socket.resetAndDestroy();
  response.destroy();
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
