import { crc32 as zlibCrc32 } from "node:zlib";

const POLYNOMIAL = 0xedb88320;

/** CRC-32 (IEEE 802.3) of `bytes`, as an unsigned number. */
export function crc32(bytes: Uint8Array | string): number {
  return zlibCrc32(bytes) >>> 0;
}

/**
 * The CRC-32 of two pieces of data in a row, from the CRC-32 of each and the second's length in bytes: merging pieces
 * then neither reads them again nor vouches for bytes that went bad meanwhile. Follows zlib's `crc32_combine`.
 */
export function combineCrc32(first: number, second: number, secondLength: number): number {
  return (multiply(powerOfX(secondLength), first) ^ second) >>> 0;
}

/** a(x) · b(x) modulo the polynomial, both reflected. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor;
    factor = (factor & 1) !== 0 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product >>> 0;
}

/** SQUARES[n] is x^(2^n) modulo the polynomial. */
const SQUARES: readonly number[] = (() => {
  const squares = [0x40000000];
  for (let n = 1; n < 32; n += 1) {
    const last = squares[n - 1] as number;
    squares.push(multiply(last, last));
  }
  return squares;
})();

/** x^(8 · bytes) modulo the polynomial. */
function powerOfX(bytes: number): number {
  let power = 0x80000000;
  for (let rest = bytes, n = 3; rest > 0; rest = Math.floor(rest / 2), n += 1) {
    if (rest % 2 === 1) power = multiply(SQUARES[n & 31] as number, power);
  }
  return power;
}
