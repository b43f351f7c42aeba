import { CHUNK_SIZE } from "../data-source/data-source.ts";
import type { ChunkStore, StoredVariant } from "./chunk-store.ts";
import type { VariantName } from "./variant-name.ts";
import { PieceTable } from "./piece-table.ts";

/** Chunks in memory, for tests and for apps that must not write to the disk. Nothing survives the process. */
export class MemoryChunkStore implements ChunkStore {
  readonly #variants = new Map<string, MemoryVariant>();

  async open(name: VariantName): Promise<StoredVariant> {
    const key = keyOf(name);
    const variant = this.#variants.get(key) ?? new MemoryVariant();
    this.#variants.set(key, variant);
    return variant;
  }

  async delete(name: VariantName): Promise<void> {
    this.#variants.delete(keyOf(name));
  }
}

class MemoryVariant extends PieceTable implements StoredVariant {
  readonly #chunks = new Map<number, Uint8Array>();

  async readChunk(index: number, from: number, to: number): Promise<Uint8Array | undefined> {
    const start = index * CHUNK_SIZE;
    if (this.contiguousEnd(start + from) < start + to) return undefined;
    return this.#chunks.get(index)?.slice(from, to) ?? new Uint8Array(0);
  }

  async writeChunk(index: number, from: number, bytes: Uint8Array): Promise<void> {
    const start = index * CHUNK_SIZE + from;
    if (from + bytes.length > CHUNK_SIZE) throw new RangeError("These bytes reach beyond their chunk");
    const chunk = this.#chunks.get(index) ?? new Uint8Array(CHUNK_SIZE);
    this.#chunks.set(index, chunk);
    for (const hole of this.missing(start, start + bytes.length)) {
      chunk.set(bytes.subarray(hole.start - start, hole.end - start), hole.start - index * CHUNK_SIZE);
      // Memory needs no checksum.
      this.add({ ...hole, crc: 0, checked: true });
    }
  }

  get disk(): number {
    return this.bytes;
  }

  recount(): void {}

  async verify(): Promise<number> {
    return 0;
  }

  learnSize(): void {}

  async flush(): Promise<void> {}

  async release(): Promise<void> {}

  async close(): Promise<void> {}
}

function keyOf({ source, id, variant }: VariantName): string {
  return JSON.stringify([source, id, variant]);
}
