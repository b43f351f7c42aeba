import { AfterbayError, abortReason, isAfterbayError } from "../errors.ts";
import type { DataSource, Opened, ResolvedSpec } from "./data-source.ts";
import { Need } from "./need.ts";
import { withBody } from "./opened.ts";
import type { Resolution } from "./resolution.ts";
import { type Asking, ResolverCalls, type ResolvingOptions, uriKey } from "./resolver-calls.ts";
import type { ResolveTrace } from "./trace.ts";
import type { KeptResolution } from "./uri-cache.ts";

/** Times that one URL is asked for the same bytes where it is refused: a 403 may pass, though the resolver insists. */
const MAX_REFUSALS = 2;

/**
 * Turns the id into a URL, only now that bytes are needed. A URL that was refused is forgotten, and one whose life ends
 * between two windows is renewed. One call of the resolver serves all who wait for the same track and quality, and goes
 * on when they leave.
 */
export function resolving(upstream: DataSource<ResolvedSpec>, options: ResolvingOptions): Required<DataSource> {
  const { uriCache, clock } = options;
  const calls = new ResolverCalls(options);

  /** The resolution to use now. */
  const resolve = async (asking: Asking, signal: AbortSignal): Promise<KeptResolution> => {
    const { need } = asking;
    const kept = await uriCache.get(uriKey(asking));
    if (kept?.expired === false) return kept;
    if (kept !== undefined && need.reason === "first") need.reason = "expired";
    const began = clock.now();
    const resolved = await told(need, calls.resolve(asking, signal));
    need.resolveMs = clock.now() - began;
    return resolved;
  };

  return {
    async open(spec, { signal }) {
      if (signal.aborted) throw abortReason(signal);
      const { need } = spec;
      let current = await resolve({ ...spec, variant: spec.expect?.resolverVariant }, signal);
      // One that had no life left when it came is kept by nobody, and used until it is refused.
      let lasts = !current.expired;
      const first = current.resolution;
      need.resolution = first;
      assertVariant(first, spec.expect?.resolverVariant);
      assertNotRefused(need, first);
      const next = async (): Promise<Resolution> => {
        const renewed = await resolve({ ...spec, variant: first.variant }, signal);
        assertVariant(renewed.resolution, first.variant);
        current = renewed;
        lasts = !current.expired;
        return current.resolution;
      };
      const renew = (): Promise<Resolution> | undefined => (lasts && current.expired ? next() : undefined);
      const onRefused = async (error: unknown): Promise<never> => {
        if (isAfterbayError(error, "url-refused", "wrong-answer", "unnamed", "range-refused", "variant-changed")) {
          await uriCache.delete(uriKey(spec), current.resolution.url);
        }
        if (isAfterbayError(error, "url-refused")) {
          const { resolution } = current;
          const times = isSame(need.refusal?.resolution, resolution) ? (need.refusal?.times ?? 0) + 1 : 1;
          need.refusal = { resolution, error, times };
          if (isGone(error)) calls.remember(spec, notFound(error));
        }
        throw error;
      };
      const opened = await upstream.open({ ...spec, resolution: first, renew }, { signal }).catch(onRefused);
      calls.forget(spec);
      return withBody(opened, {
        body: guarded(opened, onRefused),
        dispose: () => opened[Symbol.asyncDispose](),
      });
    },

    prepare(track) {
      const ask = async (): Promise<void> => {
        const kept = await uriCache.get(uriKey(track));
        if (kept !== undefined && !kept.due) return;
        const { need = new Need() } = track;
        need.reason = kept === undefined ? "first" : "expired";
        const asked = calls.ahead({ ...track, need });
        if (asked !== undefined) await told(need, asked, true);
      };
      ask().catch(() => {});
    },
  };
}

/** Tells of a call of the resolver while it goes on. */
async function told<Answer>(need: Need, call: Promise<Answer>, ahead = false): Promise<Answer> {
  const about = { reason: need.reason, attempt: need.attempt, ...(ahead ? { ahead } : {}) };
  const trace = need.tell<ResolveTrace>({ event: "resolve", ...about });
  const end = (how: ResolveTrace["ended"]): void => {
    trace.ms = need.now() - trace.at;
    trace.ended = how;
  };
  try {
    const answer = await call;
    end("ok");
    return answer;
  } catch (error) {
    end(isAfterbayError(error) ? error.code : "cut");
    throw error;
  }
}

function assertVariant({ variant }: Resolution, expected: string | undefined): void {
  if (expected === undefined || variant === undefined || variant === expected) return;
  throw new AfterbayError("variant-changed", "The source offers other bytes for this track now", { variant });
}

/** A resolver that insists on the URL that was refused knows no other: then the refusal is what there is to say. */
function assertNotRefused({ refusal }: Need, resolution: Resolution): void {
  if (refusal === undefined || !isSame(refusal.resolution, resolution)) return;
  if (isGone(refusal.error)) throw notFound(refusal.error);
  if (refusal.times >= MAX_REFUSALS) throw refusal.error;
}

/** True if both make the same request. */
function isSame(a: Resolution | undefined, b: Resolution): boolean {
  if (a?.url !== b.url) return false;
  const lines = ({ headers = {} }: Resolution): string =>
    JSON.stringify(Object.entries(headers).toSorted(([one], [other]) => (one < other ? -1 : 1)));
  return lines(a) === lines(b);
}

function isGone({ status }: AfterbayError): boolean {
  return status === 404 || status === 410;
}

function notFound(cause: AfterbayError): AfterbayError {
  const { status } = cause;
  return new AfterbayError("not-found", "The source has no such track", {
    cause,
    ...(status === undefined ? {} : { status }),
  });
}

async function* guarded(opened: Opened, onError: (error: unknown) => Promise<never>): AsyncGenerator<Uint8Array> {
  try {
    yield* opened.body;
  } catch (error) {
    await onError(error);
  }
}
