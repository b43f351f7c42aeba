let state = 0;

/** Names are drawn from the beginning again. */
export function drawAnew(): void {
  state = 0;
}

/** `node:crypto`, but that what is drawn at random is never the same, and the same in each run. */
export function mockCrypto<T extends object>(real: T): T {
  const randomBytes = (size: number): Buffer => {
    const bytes = Buffer.alloc(size);
    state += 1;
    // Like no other, and not in a row: names are sorted by it.
    for (let at = 0; at < size; at += 4) {
      const mixed = Math.imul(state + at, 0x9e3779b1) >>> 0;
      for (let byte = 0; byte < 4 && at + byte < size; byte += 1) bytes[at + byte] = mixed >>> (8 * byte);
    }
    return bytes;
  };
  const mocked = { ...real, randomBytes };
  return { ...mocked, default: mocked };
}

/** In the place of slices of real time: one that never ends. */
export class TimeSlice {
  readonly isOver = false;

  async pause(): Promise<void> {}
}
