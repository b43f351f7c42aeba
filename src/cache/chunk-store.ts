import type { VariantName } from "./variant-name.ts";
import type { ArtworkFiles } from "./artwork-files.ts";
import type { Span } from "./piece-table.ts";
import type { VariantFiles } from "./variant-files.ts";

/**
 * The stored chunks of one variant. What is stored is known in memory once it is open, so questions are answered at once;
 * bytes move asynchronously. Chunks have 512 KiB; `from` and `to` are offsets within one, `to` exclusive.
 *
 * `test/helpers/chunk-store-contract.ts` checks every implementation.
 */
export interface StoredVariant {
  /** Bytes that it takes. */
  readonly bytes: number;
  /**
   * Bytes that they take where they are kept, with all that belongs to them: exact after {@link release}, and close to it
   * while it is written. Undefined before that is known.
   */
  readonly disk: number | undefined;
  /** What belongs to it and is written by others has changed: {@link disk} counts that anew. */
  recount(): void;
  /** True if chunk `index` of a resource of `size` bytes is whole. */
  hasChunk(index: number, size: number): boolean;
  hasAllChunks(size: number): boolean;
  /** The holes in [start, end). */
  missing(start: number, end: number): Span[];
  /** The stored stretches in order. */
  spans(): Span[];
  /** The exclusive end of what is stored from `position` on; `position` if that byte is missing. */
  contiguousEnd(position: number): number;
  /** The first stored byte at or after `position`. */
  nextStart(position: number): number | undefined;
  /**
   * The bytes [from, to) of chunk `index`, which must be stored; checked against their checksum before they are first
   * served after a start. Undefined if they were not what was written: they are missing from now on.
   * `into` may serve as the memory of the answer, if it is large enough.
   */
  readChunk(index: number, from: number, to: number, into?: Uint8Array): Promise<Uint8Array | undefined>;
  /**
   * Stores bytes within chunk `index`; bytes stored already stay as they are. Settles when they can be read back.
   * Throws when they cannot be kept (disk full, no permission); nothing is lost but these bytes.
   */
  writeChunk(index: number, from: number, bytes: Uint8Array): Promise<void>;
  /**
   * Holds every stored byte against its checksum, also those that were checked before. What does not hold is missing from
   * now on; answers how many bytes that are.
   */
  verify(): Promise<number>;
  /** Tells the size once it is known: the last chunk may be whole now. */
  learnSize(size: number): void;
  /** Waits until what was written would survive the end of the process. */
  flush(): Promise<void>;
  /** Frees handles. The variant can be used on: it opens them again. */
  release(): Promise<void>;
  /** As `release`, for good: what is still under way keeps no handle. */
  close(): Promise<void>;
}

/** Where chunks are kept. Small, so that a shared tier (an object store, Redis) can stand behind it. */
export interface ChunkStore {
  /** Opens a variant, empty where nothing is stored of it. */
  open(name: VariantName): Promise<StoredVariant>;
  /** Forgets the bytes of a variant. Nobody may be using it. */
  delete(name: VariantName): Promise<void>;
  /** The file that holds the variant's bytes at their own offsets, where the store keeps files. */
  pathOf?(name: VariantName): string;
  /** The covers of variants, where the store keeps files. */
  readonly artwork?: ArtworkFiles;
  /** What is there, whether anyone remembers it or not, where the store keeps files. */
  readonly files?: VariantFiles;
}
