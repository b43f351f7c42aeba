import { KiB, MiB } from "../../src/data-source/data-source.ts";

/** Bytes beyond the largest size, for surplus. */
const MARGIN = 256 * KiB;
export const MAX_SIZE = 4 * MiB + 64 * KiB;
const BLOCK = MAX_SIZE + MARGIN;
/** Versions whose bytes differ at every offset; a later one is as the one so many before it. */
const VERSIONS = 6;
const RESOURCES = 128;
/** Odd, and far from every size and boundary: bytes of another resource or offset never look right. */
const APART = 1031;

let pool: Buffer | undefined;

/** One block of noise for each version, each differing from the others at every byte. Made once: it is 26 MiB. */
function noise(): Buffer {
  if (pool !== undefined) return pool;
  const words = BLOCK / 4;
  const all = new Uint32Array(words * VERSIONS);
  let state = 0x9e3779b9;
  for (let at = 0; at < words; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    for (let version = 0; version < VERSIONS; version += 1) {
      all[version * words + at] = state ^ Math.imul(version, 0x01010101);
    }
  }
  pool = Buffer.from(all.buffer);
  return pool;
}

/** The bytes [start, end) of a version of a resource. Not a copy: not to be written to. */
export function contentOf(resource: number, version: number, start: number, end: number): Buffer {
  const base = (version % VERSIONS) * BLOCK + (resource % RESOURCES) * APART;
  return noise().subarray(base + start, base + Math.max(start, end));
}
