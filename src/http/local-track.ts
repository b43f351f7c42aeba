import type { Want } from "../cache/track-cache.ts";
import type { LocalFiles } from "../data-source/resolution.ts";
import type { ServedTrack } from "./stream.ts";

/** Opens a local file as a track that is whole. */
export async function enterLocal(files: LocalFiles, { id, signal }: Want): Promise<ServedTrack> {
  const file = await files.open(id, { signal });
  return {
    variant: {
      size: file.size,
      contentType: file.contentType,
      publicName: file.variant,
      storing: false,
      missing: () => [],
    },
    timing: {},
    read(start, end) {
      const chunks = file.read(start, Math.min(end, file.size))[Symbol.asyncIterator]();
      const stats = { diskBytes: 0, memoryBytes: 0, upstreamBytes: 0 };
      let position = start;
      return {
        stats,
        patient: false,
        get position() {
          return position;
        },
        async next() {
          const result = await chunks.next();
          if (result.done === true) return { done: true, value: undefined };
          position += result.value.length;
          stats.diskBytes += result.value.length;
          return result;
        },
        close: () => void chunks.return?.().catch(() => {}),
      };
    },
    close: () => void file[Symbol.asyncDispose]().then(undefined, () => {}),
  };
}
