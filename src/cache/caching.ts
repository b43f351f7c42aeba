import { Priority, type DataSource, type DataSpec } from "../data-source/data-source.ts";
import type { TrackCache } from "./track-cache.ts";

/**
 * The outermost layer: bytes that are stored come from disk, the others from the upstream, which stores them as they pass.
 * A complete track needs no upstream.
 */
export function caching(cache: TrackCache): DataSource {
  return {
    async open(spec: DataSpec, { signal }) {
      const track = await cache.enter({
        source: spec.source,
        id: spec.id,
        position: spec.position,
        level: spec.urgency?.level ?? Priority.playback,
        signal,
        ...(spec.quality === undefined ? {} : { quality: spec.quality }),
      });
      const { variant } = track;
      const reader = track.read(spec.position, spec.end ?? Number.POSITIVE_INFINITY);
      const dispose = async (): Promise<void> => {
        reader.close();
        track.close();
      };
      async function* body(): AsyncGenerator<Uint8Array> {
        try {
          yield* reader;
        } finally {
          await dispose();
        }
      }
      return {
        start: spec.position,
        ranged: true,
        ...(variant.size === undefined ? {} : { size: variant.size }),
        ...(variant.contentType === undefined ? {} : { contentType: variant.contentType }),
        variant: variant.name.variant,
        endsCleanly: () => variant.size !== undefined && reader.position >= variant.size,
        body: body(),
        [Symbol.asyncDispose]: dispose,
      };
    },
  };
}
