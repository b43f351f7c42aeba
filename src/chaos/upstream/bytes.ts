export type Version = string | number;

/**
 * The bytes [start, end) of a resource: a pure function of its arguments, about 1 ms a MiB.
 *
 * Every aligned 4-byte word within one (seed, name, version) is different, up to 16 GiB: bytes at a wrong offset never
 * compare equal by chance.
 */
export function bytesOf(seed: number, name: string, version: Version, start: number, end: number): Uint8Array {
  if (end <= start) return new Uint8Array(0);
  const key = hash32(`${name}\n${version}`, seed);
  const twist = hash32(`${version}\n${name}`, ~seed);
  const firstWord = Math.floor(start / 4);
  const words = new Uint32Array(Math.ceil(end / 4) - firstWord);
  for (let i = 0; i < words.length; i++) {
    let x = Math.imul((firstWord + i) ^ key, 0x9e3779b1);
    x = Math.imul(x ^ (x >>> 15) ^ twist, 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    words[i] = x ^ (x >>> 16);
  }
  const offset = start - firstWord * 4;
  return new Uint8Array(words.buffer, offset, end - start);
}

/** FNV-1a with murmur3's finish: spreads short names well enough to key a generator or to name a version. */
export function hash32(text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
