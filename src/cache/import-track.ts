import { randomBytes } from "node:crypto";
import type { TrackKey } from "../data-source/data-source.ts";
import type { CacheParts } from "./chores.ts";
import { stemOf } from "./variant-paths.ts";
import type { ImportableFile } from "./import-file.ts";
import { nameOf } from "./stored-track.ts";

/**
 * Stores a whole file as a track's current variant. Throws the disk's error, the file's, or what `check` does, which is
 * called before each chunk and at the end; then nothing of it stays.
 */
export async function importTrack(
  { records, live, onStored }: CacheParts,
  key: TrackKey,
  file: ImportableFile,
  check: () => void,
): Promise<void> {
  const name = nameOf({ ...key, variant: `import-${randomBytes(8).toString("hex")}` });
  const stem = stemOf(name);
  const facts = { size: file.size, contentType: file.contentType };
  records.addTentatively(stem, { ...name, facts });
  const variant = await live.bringToLife(stem, name, facts);
  const release = variant.hold();
  try {
    let chunk = 0;
    for await (const bytes of file.chunks()) {
      check();
      await variant.stored.writeChunk(chunk, 0, bytes);
      onStored(variant, bytes.length);
      chunk += 1;
    }
    await variant.stored.flush();
    check();
    records.keep(stem);
    records.setCurrent(key, stem);
  } finally {
    // What was not kept goes now.
    release();
  }
}
