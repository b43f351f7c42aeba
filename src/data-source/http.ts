import type { Dispatcher } from "undici";
import { AfterbayError, abortReason, isAfterbayError } from "../errors.ts";
import { linkedController } from "./aborting.ts";
import type { Clock } from "./clock.ts";
import type { DataSource, Opened, ResolvedSpec } from "./data-source.ts";
import { type Answer, judgeAnswer } from "./http-answer.ts";
import { HttpExchange } from "./http-exchange.ts";
import type { Need } from "./need.ts";
import { publicUrl, type WindowTrace } from "./trace.ts";

export interface HttpOptions {
  /** An undici dispatcher whose connector judges addresses. */
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
}

const MAX_REDIRECTS = 5;
/** Silence that is given up: while a reader waits for the next byte, and else. */
const STALL_URGENT_MS = 3000;
const STALL_MS = 8000;
/** A timer that comes so late says that this process had no time; then silence is judged so much later. */
const HELD_UP_MS = 250;
const EXCUSE_MS = 50;
/** Below this many bytes in {@link STALL_MS} while a reader waits, a stream is slower than any music. */
const TRICKLE_BYTES = 16 * 1024;
/** Headers that name a user: not carried to another origin by a redirect (RFC 9110, section 15.4). */
const PERSONAL_HEADERS = new Set(["authorization", "cookie", "proxy-authorization"]);

/**
 * The innermost layer: one request for one range, with identity encoding, over kept-alive connections. Follows up to
 * five redirects and judges each; checks that the answer is the range that was asked for; gives up silence.
 */
export function http({ dispatcher, clock }: HttpOptions): DataSource<ResolvedSpec> {
  return {
    async open(spec, { signal }) {
      const { controller, unlink } = linkedController(signal);
      const watch = new StallWatch(clock, spec, controller);
      let trace: WindowLog | undefined;
      try {
        const url = new URL(spec.resolution.url);
        trace = new WindowLog(spec, url);
        const answer = await request({ dispatcher, clock }, spec, url, controller.signal, watch, trace);
        return opened(answer, spec, controller, watch, trace, unlink);
      } catch (error) {
        watch.stop();
        unlink();
        const failure = signal.aborted
          ? abortReason(signal)
          : asUpstreamError(controller.signal.aborted && watch.fired ? watch.error() : error);
        trace?.end(failure);
        controller.abort();
        throw failure;
      }
    },
  };
}

async function request(
  { dispatcher, clock }: HttpOptions,
  spec: ResolvedSpec,
  first: URL,
  signal: AbortSignal,
  watch: StallWatch,
  trace: WindowLog,
): Promise<Answer> {
  let url = first;
  let headers = requestHeaders(spec, first);
  for (let hop = 0; ; hop += 1) {
    watch.waiting(2 ** spec.need.retries);
    const response = await HttpExchange.send(
      dispatcher,
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: "GET",
        headers,
        // Silence is judged by the watch, which knows whether a reader waits.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      signal,
    );
    watch.received();
    trace.answered(response.statusCode);
    const location = response.headers.location;
    if (![301, 302, 303, 307, 308].includes(response.statusCode) || typeof location !== "string") {
      return judgeAnswer(response, spec, first, clock.wall());
    }
    response.finish();
    if (hop === MAX_REDIRECTS) throw new AfterbayError("wrong-answer", "The upstream redirects too often");
    const next = redirectTarget(location, url);
    if (next.origin !== url.origin) {
      headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !PERSONAL_HEADERS.has(name)));
    }
    url = next;
    trace.redirected(next.host);
  }
}

function redirectTarget(location: string, base: URL): URL {
  const next = URL.canParse(location, base.href) ? new URL(location, base) : undefined;
  if (next === undefined || !["http:", "https:"].includes(next.protocol)) {
    throw new AfterbayError("wrong-answer", "The upstream redirects to something that is not http");
  }
  return next;
}

function requestHeaders(spec: ResolvedSpec, url: URL): Record<string, string> {
  const headers: Record<string, string> = { accept: "*/*" };
  for (const [name, value] of Object.entries(spec.resolution.headers ?? {})) headers[name.toLowerCase()] = value;
  headers["accept-encoding"] = "identity";
  if (url.username !== "" && headers.authorization === undefined) {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.authorization = `Basic ${Buffer.from(credentials).toString("base64")}`;
  }
  if (spec.whole !== true) {
    headers.range = `bytes=${spec.position}-${spec.end === undefined ? "" : spec.end - 1}`;
    const known = spec.expect?.validator;
    if (known?.etag !== undefined && known.origin === `${url.protocol}//${url.host}${url.pathname}`) {
      headers["if-range"] = known.etag;
    }
  }
  return headers;
}

function opened(
  answer: Answer,
  spec: ResolvedSpec,
  controller: AbortController,
  watch: StallWatch,
  trace: WindowLog,
  unlink: () => void,
): Opened {
  let ended = false;
  let left = answer.length ?? Number.POSITIVE_INFINITY;
  let position = answer.start;
  const free = (): void => {
    trace.end(ended || left === 0 ? undefined : abortReason(controller.signal));
    watch.stop();
    unlink();
    answer.exchange.destroy();
  };
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      while (left > 0) {
        watch.waiting();
        const bytes = await answer.exchange.read();
        if (bytes === undefined) break;
        // A surplus after the range is ignored.
        const chunk = bytes.length > left ? bytes.subarray(0, left) : bytes;
        watch.received(chunk.length);
        trace.received(chunk.length);
        left -= chunk.length;
        position += chunk.length;
        yield chunk;
      }
      if (left > 0 && answer.length !== undefined) {
        throw new AfterbayError("transient", "The upstream closed the connection early");
      }
      ended = true;
      answer.exchange.finish();
    } catch (error) {
      const aborted = controller.signal.aborted ? abortReason(controller.signal) : undefined;
      const failure = watch.fired ? watch.error() : (aborted ?? asUpstreamError(error));
      trace.end(failure);
      throw failure;
    } finally {
      free();
    }
  }
  return {
    start: answer.start,
    ranged: answer.ranged,
    ...(answer.size === undefined ? {} : { size: answer.size }),
    ...(answer.contentType === undefined ? {} : { contentType: answer.contentType }),
    ...(answer.variant === undefined ? {} : { variant: answer.variant }),
    validator: answer.validator,
    resolution: spec.resolution,
    // The end of a range proves nothing but where the range ends.
    endsCleanly: () => ended && answer.framed && (!answer.ranged || position === answer.size),
    body: body(),
    [Symbol.asyncDispose]: async () => free(),
  };
}

function asUpstreamError(error: unknown): unknown {
  // Disposed of: nobody wants these bytes, so that nobody is to ask for them again.
  if (isAfterbayError(error) || (error instanceof DOMException && error.name === "AbortError")) return error;
  const cause = error instanceof Error ? error.cause : undefined;
  // The connector's refusals come wrapped.
  if (isAfterbayError(cause)) return cause;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "ENETDOWN"].includes(code)) {
    return new AfterbayError("unreachable", `The upstream cannot be reached (${code})`);
  }
  return new AfterbayError("transient", `The upstream's connection failed${code === "" ? "" : ` (${code})`}`);
}

/** Tells of one request while it goes on. */
class WindowLog {
  readonly #need: Need;
  readonly #event: WindowTrace & { readonly at: number };

  constructor({ need, position, end, whole }: ResolvedSpec, url: URL) {
    this.#need = need;
    const start = whole === true ? 0 : position;
    this.#event = need.tell<WindowTrace>({
      event: "window",
      url: publicUrl(url),
      start,
      ...(end === undefined || whole === true ? {} : { end }),
      bytes: 0,
    });
  }

  answered(status: number): void {
    this.#event.status = status;
    this.#event.headersMs = this.#elapsed();
  }

  redirected(host: string): void {
    (this.#event.redirects ??= []).push(host);
  }

  received(bytes: number): void {
    this.#event.firstByteMs ??= this.#elapsed();
    this.#event.bytes += bytes;
  }

  /** Without a `failure`, it went as it should. The first end counts. */
  end(failure: unknown): void {
    if (this.#event.ended !== undefined) return;
    this.#event.ended = failure === undefined ? "ok" : isAfterbayError(failure) ? failure.code : "cut";
    this.#event.ms = this.#elapsed();
  }

  #elapsed(): number {
    return this.#need.now() - this.#event.at;
  }
}

/** Aborts a request that is silent for too long. Waiting for the first byte is allowed more time at each retry. */
class StallWatch {
  fired = false;
  readonly #clock: Clock;
  readonly #spec: ResolvedSpec;
  readonly #controller: AbortController;
  #cancel: (() => void) | undefined;
  #since = 0;
  #factor = 1;
  /** Time spent waiting, and what came in it, since the stream was last fast enough. */
  #slowMs = 0;
  #slowBytes = 0;

  constructor(clock: Clock, spec: ResolvedSpec, controller: AbortController) {
    this.#clock = clock;
    this.#spec = spec;
    this.#controller = controller;
  }

  /** A read begins. */
  waiting(factor = 1): void {
    this.#since = this.#clock.now();
    this.#factor = factor;
    if (this.#cancel === undefined) this.#arm(STALL_URGENT_MS * factor);
  }

  /** A read ended. The timer is left to run out: arming one per chunk would cost more than the chunk. */
  received(bytes = 0): void {
    const waited = this.#clock.now() - this.#since;
    this.#since = Number.POSITIVE_INFINITY;
    // Headers may be waited for much longer than bytes: that timer must not stand in for theirs.
    if (bytes === 0) this.stop();
    this.#slowMs += waited;
    this.#slowBytes += bytes;
    if (bytes === 0 || this.#slowBytes >= TRICKLE_BYTES || this.#spec.urgent?.() !== true) {
      this.#slowMs = 0;
      this.#slowBytes = 0;
    }
    if (this.#slowMs > STALL_MS) this.#fire();
  }

  error(): AfterbayError {
    return new AfterbayError("stalled", "The upstream sent nothing for too long");
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(ms: number, excused = false): void {
    const due = this.#clock.now() + ms;
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = undefined;
      const now = this.#clock.now();
      const silent = now - this.#since;
      if (silent < 0) return; // Nobody reads: the next read arms again.
      // This process was held up, not the upstream: what came meanwhile is read first.
      if (!excused && now - due > HELD_UP_MS) return this.#arm(EXCUSE_MS, true);
      const limit = (this.#spec.urgent?.() === true ? STALL_URGENT_MS : STALL_MS) * this.#factor;
      if (silent >= limit) this.#fire();
      else this.#arm(Math.min(Math.max(limit - silent, 50), 500));
    });
  }

  #fire(): void {
    this.fired = true;
    this.stop();
    this.#controller.abort(this.error());
  }
}
