import { randomBytes } from "node:crypto";
import type { TrackKey } from "../data-source/data-source.ts";
import { stemOf } from "./file-store.ts";
import type { ImportableFile } from "./import-file.ts";
import type { LiveVariant } from "./live-variant.ts";
import type { LiveVariants } from "./live-variants.ts";
import { nameOf } from "./stored-track.ts";
import type { VariantRecords } from "./variant-records.ts";

interface Importing {
  readonly records: VariantRecords;
  readonly live: LiveVariants;
  readonly onStored: (variant: LiveVariant, bytes: number) => void;
}

/** Stores a whole file as a track's current variant. Throws the disk's error, or the file's; then nothing of it stays. */
export async function importFile(
  { records, live, onStored }: Importing,
  key: TrackKey,
  file: ImportableFile,
): Promise<void> {
  const name = nameOf({ ...key, variant: `import-${randomBytes(8).toString("hex")}` });
  const stem = stemOf(name);
  const facts = { size: file.size, contentType: file.contentType };
  records.add(stem, { ...name, facts });
  const variant = await live.bringToLife(stem, name, facts);
  const release = variant.hold();
  try {
    let chunk = 0;
    for await (const bytes of file.chunks()) {
      await variant.stored.writeChunk(chunk, 0, bytes);
      chunk += 1;
    }
    await variant.stored.flush();
    onStored(variant, file.size);
    records.setCurrent(key, stem);
  } catch (error) {
    records.doom(stem);
    throw error;
  } finally {
    release();
  }
}
