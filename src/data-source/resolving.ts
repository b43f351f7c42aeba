import { AfterbayError, abortReason, isAfterbayError } from "../errors.ts";
import type { DataSource, DataSpec, Opened, ResolvedSpec } from "./data-source.ts";
import { withBody } from "./opened.ts";
import type { Resolution } from "./resolution.ts";
import { ResolverCalls, type ResolvingOptions, uriKey } from "./resolver-calls.ts";
import type { ResolveTrace } from "./trace.ts";

/**
 * Turns the id into a URL, only now that bytes are needed. A URL that was refused is forgotten, and one whose life ends
 * between two windows is renewed. One call of the resolver serves all who wait for the same track and quality, and goes
 * on when they leave.
 */
export function resolving(upstream: DataSource<ResolvedSpec>, options: ResolvingOptions): DataSource {
  const { uriCache, clock } = options;
  const calls = new ResolverCalls(options);

  /** The resolution to use now. `held` is one in use: where it could not be kept, it is good until it is refused. */
  const resolve = async (spec: DataSpec, signal: AbortSignal, held?: Resolution): Promise<Resolution> => {
    const kept = await uriCache.get(uriKey(spec));
    if (kept?.expired === false) return kept.resolution;
    if (kept === undefined && held !== undefined) return held;
    if (kept !== undefined && spec.need.reason === "first") spec.need.reason = "expired";
    const { need } = spec;
    const trace = need.tell<ResolveTrace>({ event: "resolve", reason: need.reason, attempt: need.attempt });
    const end = (how: ResolveTrace["ended"]): void => {
      trace.ms = need.now() - trace.at;
      trace.ended = how;
    };
    const began = clock.now();
    try {
      const resolution = await calls.resolve(spec, signal, held?.variant ?? spec.expect?.resolverVariant);
      need.resolveMs = clock.now() - began;
      end("ok");
      return resolution;
    } catch (error) {
      end(isAfterbayError(error) ? error.code : "cut");
      throw error;
    }
  };

  return {
    async open(spec, { signal }) {
      if (signal.aborted) throw abortReason(signal);
      const first = await resolve(spec, signal);
      assertVariant(first, spec.expect?.resolverVariant);
      let current = first;
      const renew = async (): Promise<Resolution> => {
        const next = await resolve(spec, signal, current);
        assertVariant(next, first.variant);
        current = next;
        return next;
      };
      const forgetRefused = async (error: unknown): Promise<never> => {
        if (isAfterbayError(error, "url-refused", "wrong-answer", "range-refused", "variant-changed")) {
          await uriCache.delete(uriKey(spec), current.url);
        }
        throw error;
      };
      const opened = await upstream.open({ ...spec, resolution: first, renew }, { signal }).catch(forgetRefused);
      return withBody(opened, {
        body: guarded(opened, forgetRefused),
        dispose: () => opened[Symbol.asyncDispose](),
      });
    },
  };
}

function assertVariant({ variant }: Resolution, expected: string | undefined): void {
  if (expected === undefined || variant === undefined || variant === expected) return;
  throw new AfterbayError("variant-changed", "The source offers other bytes for this track now", { variant });
}

async function* guarded(opened: Opened, onError: (error: unknown) => Promise<never>): AsyncGenerator<Uint8Array> {
  try {
    yield* opened.body;
  } catch (error) {
    await onError(error);
  }
}
