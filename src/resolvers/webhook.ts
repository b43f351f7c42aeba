import { Agent, type Dispatcher, request } from "undici";
import { createGuardedConnector } from "../data-source/guarded-connector.ts";
import { retryAfterMs } from "../data-source/http-answer.ts";
import type { Resolution, Resolver, ResolveRequest } from "../data-source/resolution.ts";
import { abortReason, AfterbayError, isAfterbayError } from "../errors.ts";
import { parseTemplate } from "./template.ts";
import { presentable } from "./user-error.ts";
import { validateResolution } from "./validate-resolution.ts";

export interface WebhookOptions {
  /** Milliseconds for the whole answer. Default 20 s. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 20_000;
const MAX_BODY_BYTES = 64 * 1024;
/** Frameworks redirect `/resolve` to `/resolve/`; nothing needs more. */
const MAX_REDIRECTS = 3;
const UNREACHABLE: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "ENETDOWN"]);

/**
 * The `webhook:TEMPLATE` source: `GET` answers with a Resolution as JSON. It is told `attempt`, `reason` and, where one
 * was asked for, `quality` as query parameters. 404 means an unknown id, 410 with `{"code":"unplayable","message":…}` a
 * track that can never play, everything else a failure that may pass.
 *
 * The template's own host may be a private one; the webhook can redirect to nowhere else. Throws an Error with one line
 * for a template that is none.
 */
export function createWebhookResolver(template: string, { timeoutMs = TIMEOUT_MS }: WebhookOptions = {}): Resolver {
  const { host, headers, fill } = parseTemplate(template);
  const agent = new Agent({ connect: createGuardedConnector({ allowPrivate: false, exempt: new Set([host]) }) });
  return {
    hosts: [host],
    async resolve(id, about) {
      const url = withParameters(fill(id), about);
      const limit = AbortSignal.timeout(timeoutMs);
      try {
        const signal = AbortSignal.any([about.signal, limit]);
        return await readAnswer(await get(new URL(url), { dispatcher: agent, headers, signal }));
      } catch (error) {
        if (about.signal.aborted) throw abortReason(about.signal);
        if (limit.aborted) throw new AfterbayError("stalled", "The webhook did not answer in time", { cause: error });
        throw isAfterbayError(error) ? error : connectionError(error);
      }
    },
    // Not agent.close(), which waits for answers that nobody needs any more.
    close: () => agent.destroy(),
  };
}

interface GetOptions {
  readonly dispatcher: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Appends as text: a URLSearchParams would write the template's own query anew. */
function withParameters(url: string, { attempt, reason, quality }: ResolveRequest): string {
  const parameters = new URLSearchParams({
    attempt: String(attempt),
    reason,
    ...(quality !== undefined && { quality }),
  });
  return `${url}${url.includes("?") ? "&" : "?"}${parameters.toString()}`;
}

async function get(first: URL, { dispatcher, headers, signal }: GetOptions): Promise<Dispatcher.ResponseData> {
  let url = first;
  for (let hop = 0; ; hop += 1) {
    const answer = await request(url, { dispatcher, headers: { accept: "application/json", ...headers }, signal });
    const { location } = answer.headers;
    if (![301, 302, 303, 307, 308].includes(answer.statusCode) || typeof location !== "string") return answer;
    await answer.body.dump();
    const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
    if (next?.origin !== first.origin) throw new AfterbayError("transient", "The webhook redirects to another host");
    if (hop === MAX_REDIRECTS) throw new AfterbayError("transient", "The webhook redirects too often");
    url = next;
  }
}

async function readAnswer({ statusCode: status, headers, body }: Dispatcher.ResponseData): Promise<Resolution> {
  if (status === 200) return validateResolution(parseAnswer(await readText(body)));
  if (status === 410) throw gone(await readText(body));
  await body.dump();
  if (status === 404) throw new AfterbayError("not-found", "The source has no such track", { status });
  throw failure(status, headers["retry-after"]);
}

/** 401 and 403 are here too: they are about the webhook, and another URL for the bytes would not help. */
function failure(status: number, retryAfter: string | string[] | undefined): AfterbayError {
  const wait = status === 429 || status === 503 ? retryAfterMs([retryAfter].flat()[0], Date.now()) : undefined;
  return new AfterbayError("transient", `The webhook answered ${status}`, {
    status,
    ...(wait !== undefined && { retryAfterMs: wait }),
  });
}

/** Only the body tells a track that can never play from an error page. */
function gone(text: string): AfterbayError {
  const answer = parseJson(text);
  if (typeof answer !== "object" || answer === null || !("code" in answer) || answer.code !== "unplayable") {
    return failure(410, undefined);
  }
  const message = "message" in answer && typeof answer.message === "string" ? presentable(answer.message) : "";
  return new AfterbayError("unplayable", message === "" ? "This track cannot be played" : message, { status: 410 });
}

async function readText(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Leaving the loop destroys the body.
    if (length > MAX_BODY_BYTES) throw new AfterbayError("wrong-answer", "The webhook's answer is longer than 64 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseAnswer(text: string): unknown {
  const answer = parseJson(text);
  if (answer === undefined) throw new AfterbayError("wrong-answer", "The webhook's answer is not JSON");
  return answer;
}

/** `undefined` for what is no JSON. The error is dropped: it quotes the answer, which may hold a signed URL. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function connectionError(error: unknown): AfterbayError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const words = code === "" ? "" : ` (${code})`;
  return UNREACHABLE.has(code)
    ? new AfterbayError("unreachable", `The webhook cannot be reached${words}`, { cause: error })
    : new AfterbayError("transient", `The connection to the webhook failed${words}`, { cause: error });
}
