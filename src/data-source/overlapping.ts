import { AfterbayError } from "../errors.ts";
import type { DataSource, DataSpec } from "./data-source.ts";
import { withBody } from "./opened.ts";

/**
 * Where nothing names the bytes (podcasts with inserted ads), a resume begins inside bytes that are kept and must agree
 * with them; else it is another version, and none of it is passed on.
 */
export function overlapping<Spec extends DataSpec>(upstream: DataSource<Spec>): DataSource<Spec> {
  return {
    async open(spec, { signal }) {
      const known = spec.overlap;
      if (known === undefined || known.length === 0) return await upstream.open(spec, { signal });
      const { overlap: _known, ...rest } = spec;
      const knownFrom = spec.position - known.length;
      const opened = await upstream.open({ ...rest, position: knownFrom } as Spec, { signal });
      async function* body(): AsyncGenerator<Uint8Array> {
        let position = opened.start;
        for await (const chunk of opened.body) {
          const from = Math.max(position, knownFrom);
          const to = Math.min(position + chunk.length, spec.position);
          if (from < to) {
            const got = chunk.subarray(from - position, to - position);
            const kept = (known as Uint8Array).subarray(from - knownFrom, to - knownFrom);
            if (Buffer.compare(got, kept) !== 0) {
              throw new AfterbayError("variant-changed", "The upstream's bytes differ from those kept");
            }
          }
          position += chunk.length;
          const fresh = position - spec.position;
          if (fresh > 0) yield fresh >= chunk.length ? chunk : chunk.subarray(chunk.length - fresh);
        }
      }
      return withBody(opened, {
        start: spec.position,
        body: body(),
        dispose: () => opened[Symbol.asyncDispose](),
      });
    },
  };
}
