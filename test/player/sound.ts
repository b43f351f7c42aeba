import type { DriverEvent, PlayerDriver } from "../../src/player/driver.ts";

export const RATE = 48_000;

/** A tone as WAV, 16 bits, mono; beginning and ending within one wave. */
export function wav(seconds: number, hertz: number): Buffer {
  const samples = Math.round(seconds * RATE);
  const bytes = Buffer.alloc(44 + 2 * samples);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + 2 * samples, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(RATE, 24);
  bytes.writeUInt32LE(2 * RATE, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * samples, 40);
  for (let at = 0; at < samples; at += 1) {
    bytes.writeInt16LE(Math.round(20_000 * Math.cos((2 * Math.PI * hertz * at) / RATE)), 44 + 2 * at);
  }
  return bytes;
}

/** What is in a WAV file of 16, 32 (integer or floating) bits, first channel, in [-1, 1]. */
export function samplesOf(file: Buffer): Float64Array {
  const at = file.indexOf("data", 12, "latin1") + 8;
  const format = file.indexOf("fmt ", 12, "latin1") + 8;
  const channels = file.readUInt16LE(format + 2);
  const bits = file.readUInt16LE(format + 14);
  const tag = file.readUInt16LE(format);
  const isFloat = (tag === 0xfffe ? file.readUInt16LE(format + 24) : tag) === 3;
  const step = (bits / 8) * channels;
  const count = Math.floor((file.length - at) / step);
  const samples = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    const offset = at + index * step;
    if (isFloat) samples[index] = file.readFloatLE(offset);
    else samples[index] = bits === 16 ? file.readInt16LE(offset) / 2 ** 15 : file.readInt32LE(offset) / 2 ** 31;
  }
  return samples;
}

/** Where two sounds differ first; undefined if they are the same. */
export function firstDifference(one: Float64Array, other: Float64Array): number | undefined {
  if (one.length !== other.length) return Math.min(one.length, other.length);
  const at = one.findIndex((sample, index) => sample !== other[index]);
  return at === -1 ? undefined : at;
}

/** The longest silence between sound and sound, ms. */
export function longestSilence(samples: Float64Array): number {
  let longest = 0;
  let last: number | undefined;
  for (const [index, sample] of samples.entries()) {
    if (Math.abs(sample) < 0.01) continue;
    if (last !== undefined) longest = Math.max(longest, index - last - 1);
    last = index;
  }
  return (longest / RATE) * 1000;
}

/** Everything that a driver tells, and a wait for what it will tell. */
export class Told {
  readonly all: DriverEvent[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(driver: PlayerDriver) {
    driver.listen((event) => {
      this.all.push(event);
      for (const wake of [...this.#waiting]) wake();
    });
  }

  /** The events without those of time. */
  get main(): readonly DriverEvent[] {
    return this.all.filter(({ type }) => !["opened", "position", "duration", "buffering"].includes(type));
  }

  /** The first event after the first `from` that fits. */
  async until<Type extends DriverEvent["type"]>(
    type: Type,
    fits: (event: Extract<DriverEvent, { type: Type }>) => boolean = () => true,
    from = 0,
  ): Promise<Extract<DriverEvent, { type: Type }>> {
    for (;;) {
      const found = this.all.slice(from).find((event) => event.type === type && fits(event as never));
      if (found !== undefined) return found as never;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }
}
