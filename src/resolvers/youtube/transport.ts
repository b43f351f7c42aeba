import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Agent, type Dispatcher, request as send } from "undici";
import { linkedController } from "../../data-source/aborting.ts";
import { createGuardedConnector } from "../../data-source/guarded-connector.ts";
import { retryAfterMs } from "../../data-source/http-answer.ts";
import { abortReason, AfterbayError, isAfterbayError } from "../../errors.ts";
import type { Base } from "./options.ts";

export interface TransportOptions {
  readonly base?: Base;
  /** Milliseconds for one whole answer. */
  readonly timeoutMs: number;
}

/** A request of youtubei.js's, as it is about to be sent. */
export interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string | undefined;
}

type Fetch = typeof globalThis.fetch;

/** A player answer has 100 to 500 KB; the player script 2.6 MB in 2026. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const YOUTUBE = /^(?:[\w-]+\.)*(?:youtube|googleapis)\.com$/;
/** The wait to ask for where YouTube names none; whoever solves a captcha meanwhile plays on after it. */
const LIMITED_MS = 60_000;
const UNREACHABLE: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "ENETDOWN"]);

const inflate = promisify(gunzip);

/**
 * The way to YouTube for all that youtubei.js asks: over connections whose addresses are judged, to `base` where there is
 * one, with limits on time and size, following no redirect.
 *
 * An answer that is of no use becomes an AfterbayError: `busy` for a limit or a captcha, `transient`, `stalled` or
 * `unreachable` for what may pass, `upstream-failed` where another client may fare better. None quotes an answer.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #agent: Agent;

  constructor(options: TransportOptions) {
    const exempt = new Set(options.base === undefined ? [] : [options.base.host]);
    this.#options = options;
    this.#agent = new Agent({ connect: createGuardedConnector({ allowPrivate: false, exempt }) });
  }

  /** A `fetch` for youtubei.js whose requests end with `signal`. `edit` sees each before it goes out. */
  fetchUntil(signal: AbortSignal, edit: (outgoing: Outgoing) => Outgoing = (outgoing) => outgoing): Fetch {
    return async (input, init) => {
      const outgoing = edit(outgoingOf(input, init));
      const { controller, unlink } = linkedController(signal);
      const late = new AfterbayError("stalled", "YouTube did not answer in time");
      const timer = setTimeout(() => controller.abort(late), this.#options.timeoutMs);
      try {
        return await this.#send(outgoing, controller.signal);
      } catch (error) {
        if (controller.signal.aborted) throw abortReason(controller.signal);
        throw isAfterbayError(error) ? fromGuard(error) : connectionError(error);
      } finally {
        clearTimeout(timer);
        unlink();
      }
    };
  }

  async close(): Promise<void> {
    // Not close(), which waits for answers that nobody needs any more.
    await this.#agent.destroy();
  }

  async #send({ url, method, headers, body }: Outgoing, signal: AbortSignal): Promise<Response> {
    const { base } = this.#options;
    if (base === undefined && (url.protocol !== "https:" || !YOUTUBE.test(url.hostname))) {
      throw new AfterbayError("upstream-failed", "youtubei.js asks another site than YouTube");
    }
    const target = base === undefined ? url.href : `${base.url}${url.pathname}${url.search}`;
    const answer = await send(target, {
      dispatcher: this.#agent,
      method: method === "POST" ? "POST" : "GET",
      headers: { ...Object.fromEntries(headers), ...base?.headers, "accept-encoding": "gzip" },
      body: body ?? null,
      signal,
    });
    const text = await readText(answer);
    const wantsJson = url.pathname.startsWith("/youtubei/");
    judge(answer, text, wantsJson);
    return new Response(text, { headers: { "content-type": wantsJson ? "application/json" : "text/plain" } });
  }
}

/** youtubei.js calls with (Request, init) for Innertube, whose body and headers stand in `init`, else with (URL, init). */
function outgoingOf(input: Parameters<Fetch>[0], init: RequestInit = {}): Outgoing {
  const request = input instanceof Request ? input : undefined;
  return {
    url: new URL(input instanceof Request ? input.url : input),
    method: init.method ?? request?.method ?? "GET",
    headers: new Headers(init.headers ?? request?.headers),
    body: typeof init.body === "string" ? init.body : undefined,
  };
}

async function readText({ headers, body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Leaving the loop destroys the body.
    if (length > MAX_BODY_BYTES) throw new AfterbayError("upstream-failed", "YouTube's answer is too long");
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const encoding = String(headers["content-encoding"] ?? "identity").toLowerCase();
  if (encoding === "identity") return bytes.toString("utf8");
  try {
    if (encoding === "gzip") return (await inflate(bytes, { maxOutputLength: MAX_BODY_BYTES })).toString("utf8");
  } catch {
    // A broken or endless stream is no better than an encoding that nobody asked for.
  }
  throw new AfterbayError("upstream-failed", "YouTube's answer cannot be decoded");
}

/** Throws for every answer but the one that was asked for. */
function judge({ statusCode: status, headers }: Dispatcher.ResponseData, text: string, wantsJson: boolean): void {
  const redirected = status >= 300 && status < 400;
  const location = redirected ? String(headers["location"] ?? "") : "";
  const page = /^\s*</.test(text) ? text : "";
  if (/google\.[a-z.]+\/sorry|\/sorry\//i.test(location) || /captcha|unusual traffic/i.test(page)) {
    throw new AfterbayError(
      "busy",
      "YouTube wants a captcha from this network: open youtube.com in a browser here and solve it, or wait",
      { status, retryAfterMs: LIMITED_MS },
    );
  }
  const asked = retryAfterMs([headers["retry-after"]].flat()[0], Date.now());
  if (status === 429) {
    throw new AfterbayError("busy", "YouTube limits requests from this network (429): wait, or use another network", {
      status,
      retryAfterMs: asked ?? LIMITED_MS,
    });
  }
  if (status === 408 || status >= 500) {
    const wait = asked === undefined ? {} : { retryAfterMs: asked };
    throw new AfterbayError("transient", `YouTube failed (${status})`, { status, ...wait });
  }
  if (redirected || (wantsJson && page !== "")) {
    throw new AfterbayError(
      "upstream-failed",
      "YouTube answered with a web page instead of data: a login or consent page stands in between; check the network",
      { status },
    );
  }
  if (status !== 200) {
    throw new AfterbayError(
      "upstream-failed",
      `YouTube refuses these clients (${status}): name others, or newer versions of them, in youtube?clients=`,
      { status },
    );
  }
  if (wantsJson && !isJsonObject(text)) throw new AfterbayError("upstream-failed", "YouTube's answer is not JSON");
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** The connector's refusal means a bad resolution elsewhere; here it is a setting that cannot work. */
function fromGuard(error: AfterbayError): AfterbayError {
  if (error.code !== "wrong-answer") return error;
  return new AfterbayError("upstream-failed", "YouTube's name leads to an address that may not be connected to");
}

/** Without its cause: what undici throws may quote headers. */
function connectionError(error: unknown): AfterbayError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const words = code === "" ? "" : ` (${code})`;
  return UNREACHABLE.has(code)
    ? new AfterbayError("unreachable", `YouTube cannot be reached${words}`)
    : new AfterbayError("transient", `The connection to YouTube failed${words}`);
}
