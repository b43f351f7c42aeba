/** 32 well-mixed bits of a seed and a counter: noise that can be had at any position without what came before. */
export function hash(seed: number, index: number): number {
  let h = Math.imul(index ^ 0x9e3779b9, 0x85ebca6b) ^ seed;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** White noise in [-1, 1). */
export function noise(seed: number, index: number): number {
  return hash(seed, index) / 0x80000000 - 1;
}

/** A sequence of numbers in [0, 1) that depends on the seed alone. */
export function sequence(seed: number): () => number {
  let index = 0;
  return () => hash(seed, index++) / 0x100000000;
}
