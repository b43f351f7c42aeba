import { AfterbayError, abortReason } from "../errors.ts";
import { type DataSource, type DataSpec, type Expectation, KiB, type Opened } from "./data-source.ts";
import { withBody } from "./opened.ts";

/** Where nothing names the bytes, a resume is held against this many of them. */
export const OVERLAP = 64 * KiB;

/**
 * Decides what follows an error: returns, perhaps after a wait, to go on at the next byte; throws to give up.
 */
export type Recover = (error: unknown, signal: AbortSignal) => Promise<void>;

/**
 * Opens, and opens again at the next byte, as long as `recover` says so. What retrying, refreshing and giving way have
 * in common; each is this with its own `recover`.
 */
export async function openResuming<Spec extends DataSpec>(
  upstream: DataSource<Spec>,
  spec: Spec,
  signal: AbortSignal,
  recover: Recover,
): Promise<Opened> {
  const reopen = async (again: Spec): Promise<Opened> => {
    for (;;) {
      try {
        return await upstream.open(again, { signal });
      } catch (error) {
        if (signal.aborted) throw abortReason(signal);
        await recover(error, signal);
      }
    }
  };

  let current = await reopen(spec);
  const first = current;
  const expect = expectationOf(first, spec.expect);
  let position = first.start;
  let tail: Uint8Array = spec.overlap ?? new Uint8Array(0);
  let disposed = false;

  async function* body(): AsyncGenerator<Uint8Array> {
    for (;;) {
      try {
        // After a reopening that ignored the range, what was passed on already is skipped.
        let at = current.start;
        if (at > position) throw new AfterbayError("wrong-answer", "The upstream resumed too late");
        for await (const chunk of current.body) {
          const skip = Math.min(chunk.length, position - at);
          at += chunk.length;
          if (skip === chunk.length) continue;
          const fresh = skip === 0 ? chunk : chunk.subarray(skip);
          position += fresh.length;
          if (first.variant === undefined) tail = lastBytes(tail, fresh);
          spec.need.progress();
          yield fresh;
        }
        return;
      } catch (error) {
        if (signal.aborted) throw abortReason(signal);
        if (disposed) throw error;
        await current[Symbol.asyncDispose]();
        await recover(error, signal);
        const overlap = first.variant === undefined && tail.length > 0 ? { overlap: tail } : {};
        current = await reopen({ ...spec, position, expect, ...overlap });
        // Disposed of meanwhile: what was opened since is freed by the read that fails at it.
        if (disposed) await current[Symbol.asyncDispose]();
      }
    }
  }
  return withBody(first, {
    endsCleanly: () => current.endsCleanly(),
    body: body(),
    async dispose() {
      disposed = true;
      await current[Symbol.asyncDispose]();
    },
  });
}

/** What later answers must agree with, after this one. */
export function expectationOf(opened: Opened, known: Expectation | undefined): Expectation {
  const { variant, validatorScope: scope } = opened.resolution ?? {};
  const named = variant ?? (scope === undefined ? undefined : `${scope}/`);
  return {
    ...(opened.variant === undefined ? {} : { variant: opened.variant }),
    ...(named === undefined ? {} : { resolverVariant: named }),
    ...(opened.size === undefined ? {} : { size: opened.size }),
    ...(opened.validator === undefined ? {} : { validator: opened.validator }),
    ...known,
  };
}

function lastBytes(tail: Uint8Array, fresh: Uint8Array): Uint8Array {
  if (fresh.length >= OVERLAP) return fresh.slice(fresh.length - OVERLAP);
  const keep = Math.min(tail.length, OVERLAP - fresh.length);
  const next = new Uint8Array(keep + fresh.length);
  next.set(tail.subarray(tail.length - keep));
  next.set(fresh, keep);
  return next;
}
