import { join } from "node:path";
import type { ChunkStore, StoredVariant } from "../../src/cache/chunk-store.ts";
import { FileChunkStore } from "../../src/cache/file-store.ts";
import { stemOf } from "../../src/cache/variant-paths.ts";
import { TrackIndex } from "../../src/cache/track-index.ts";
import { CHUNK_SIZE } from "../../src/data-source/data-source.ts";
import type { Version } from "./origin.ts";
import type { World } from "./world.ts";

/** What a server left on the disk: each variant holds bytes of one version, and all is accounted for. */
export async function checkStore(world: World): Promise<void> {
  const { root } = world.place;
  const store: ChunkStore = world.memory ?? new FileChunkStore(root);
  const index = new TrackIndex(join(root, "index.log"), (error) =>
    world.fail(`the index cannot be read: ${String(error)}`),
  );
  await world.settled(index.load(), 60_000, "reading the index");
  const stems = new Set<string>();
  for (const [stem, entry] of index.entries()) {
    stems.add(stem);
    const { source, id, variant } = entry;
    const about = (what: string): void => world.fail(`stored of ${id} as ${variant}: ${what}`);
    if (stem !== stemOf(entry)) about("under the name of another");
    const stored = await world.settled(store.open({ source, id, variant }), 60_000, "opening");
    const { size } = entry.facts;
    if (size !== undefined) stored.learnSize(size);
    // What could not be read for a while counts as missing until someone opens it again.
    const unread = world.readsFailed && stored.bytes > entry.bytes;
    // What the disk would not delete, nothing leads to: its map was not written any more.
    const isLeft = world.refused && entry.qualities.length === 0;
    if (stored.bytes !== entry.bytes && !unread && !isLeft && !world.rotten)
      about(`${stored.bytes} bytes, and the index says ${entry.bytes}`);
    const complete = size !== undefined && stored.hasAllChunks(size);
    if (complete !== entry.complete && !(world.readsFailed && complete) && !isLeft && !world.rotten)
      about(`complete is ${complete}, and the index says ${entry.complete}`);
    const versions = world.originals
      .filter(({ track }) => track === id)
      .flatMap((original) => [...original.versions.values()]);
    await world.settled(checkBytes(stored, versions, size, entry.complete, about), 60_000, "checking");
    await world.settled(stored.close(), 60_000, "closing");
  }
  // After a crash there may be files that the index never heard of, and some that nobody could look at after a deletion was
  // refused: the next start finds them.
  if (world.scenario.store !== "files" || world.crashed || world.readsFailed) return;
  for (const path of world.disk.below("/v1/tracks")) {
    const stem = (path.split("/").at(-1) ?? "").split(".")[0] ?? "";
    if (!stems.has(stem)) world.fail(`nobody knows of ${path}`);
  }
}

async function checkBytes(
  stored: StoredVariant,
  versions: readonly Version[],
  size: number | undefined,
  complete: boolean,
  about: (what: string) => void,
): Promise<void> {
  let left = versions;
  for (const { start, end } of stored.spans()) {
    for (let at = start; at < end; ) {
      const chunk = Math.floor(at / CHUNK_SIZE);
      const to = Math.min(end, (chunk + 1) * CHUNK_SIZE);
      const bytes = await stored.readChunk(chunk, at % CHUNK_SIZE, to - chunk * CHUNK_SIZE);
      // Found bad, as it may be.
      if (bytes === undefined) return;
      const from = at;
      left = left.filter((version) => Buffer.compare(version.bytes(from, to), bytes) === 0);
      if (left.length === 0) return about(`[${at}, ${to}) is of no version that the rest is of`);
      at = to;
    }
  }
  if (complete && !left.some(({ sizes }) => sizes.has(size ?? -1))) about(`complete with ${size} bytes`);
}
