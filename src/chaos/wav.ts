import { bytesOf, hash32, type Version } from "./upstream/bytes.ts";
import type { Content } from "./upstream/resource.ts";

export const WAV_TYPE = "audio/wav";

const SAMPLE_RATE = 22_050;
const SAMPLE_BYTES = 2;
export const WAV_HEADER_BYTES = 44;

/** What a second of a generated track takes: 16 bits, mono, at 22,050 Hz. */
export const BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_BYTES;

const NOTE_SAMPLES = SAMPLE_RATE / 2;
/** Semitones of a pentatonic scale over two octaves: any order of these sounds peaceful. */
const SCALE = [0, 2, 4, 7, 9, 12, 14, 16, 19, 21, 24] as const;
const LOWEST_HZ = 220;
const LOUDNESS = 9000;
/** One turn of a sine, in so many steps that what is between them is below the noise. */
const SINE = Float64Array.from({ length: 4096 }, (_, step) => Math.sin((2 * Math.PI * step) / 4096));
/** The six lowest bits are noise, so that no two stretches of a track are alike. */
const NOISE_MASK = 63;

/**
 * A WAV file of any size: a melody of its own for each seed, name and version, under a little noise. The header tells
 * the length of `size` bytes; a file too small for it is its beginning.
 */
export function wavContent(seed: number, name: string, size: number): Content {
  const header = wavHeader(Math.max(0, size - WAV_HEADER_BYTES));
  return (version, start, end) => {
    const bytes = new Uint8Array(end - start);
    bytes.set(header.subarray(start, end));
    const from = Math.max(start, WAV_HEADER_BYTES);
    if (from < end)
      bytes.set(samples(seed, name, version, from - WAV_HEADER_BYTES, end - WAV_HEADER_BYTES), from - start);
    return bytes;
  };
}

/** The bytes [start, end) behind the header. */
function samples(seed: number, name: string, version: Version, start: number, end: number): Uint8Array {
  const first = Math.floor(start / SAMPLE_BYTES);
  const last = Math.ceil(end / SAMPLE_BYTES);
  const noise = bytesOf(seed, name, version, first * SAMPLE_BYTES, last * SAMPLE_BYTES);
  const bytes = new Uint8Array((last - first) * SAMPLE_BYTES);
  const view = new DataView(bytes.buffer);
  let note = -1;
  let step = 0;
  for (let index = first; index < last; index++) {
    const here = Math.floor(index / NOTE_SAMPLES);
    if (here !== note) {
      note = here;
      step = (SINE.length * hertz(seed, name, version, note)) / SAMPLE_RATE;
    }
    const into = index - note * NOTE_SAMPLES;
    // A note dies away to nothing, so that the next one starts without a click.
    const tone = (SINE[Math.floor(step * into) % SINE.length] ?? 0) * (1 - into / NOTE_SAMPLES) * LOUDNESS;
    const at = (index - first) * SAMPLE_BYTES;
    view.setInt16(at, (Math.round(tone) & ~NOISE_MASK) | ((noise[at] ?? 0) & NOISE_MASK), true);
  }
  return bytes.subarray(start - first * SAMPLE_BYTES, end - first * SAMPLE_BYTES);
}

function hertz(seed: number, name: string, version: Version, note: number): number {
  const semitones = SCALE[hash32(`${name}\n${version}\n${note}`, seed) % SCALE.length] ?? 0;
  return LOWEST_HZ * 2 ** (semitones / 12);
}

/** RIFF with one `fmt ` and one `data` chunk; sizes are 32 bits wide. */
function wavHeader(dataBytes: number): Uint8Array {
  const header = Buffer.alloc(WAV_HEADER_BYTES);
  const size = (bytes: number): number => Math.min(bytes, 0xffffffff);
  header.write("RIFF", 0, "latin1");
  header.writeUInt32LE(size(WAV_HEADER_BYTES - 8 + dataBytes), 4);
  header.write("WAVEfmt ", 8, "latin1");
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(SAMPLE_RATE, 24);
  header.writeUInt32LE(BYTES_PER_SECOND, 28);
  header.writeUInt16LE(SAMPLE_BYTES, 32);
  header.writeUInt16LE(8 * SAMPLE_BYTES, 34);
  header.write("data", 36, "latin1");
  header.writeUInt32LE(size(dataBytes), 40);
  return header;
}
