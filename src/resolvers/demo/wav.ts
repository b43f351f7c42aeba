import type { Piece } from "./synth/piece.ts";
import { BLOCK_FRAMES, frames, SAMPLE_RATE } from "./synth/sound.ts";

/** Bytes of the RIFF header before the samples. */
const HEADER_BYTES = 44;

/** Two channels of 16 bits. */
const FRAME_BYTES = 4;
const BLOCK_BYTES = BLOCK_FRAMES * FRAME_BYTES;

export const WAV_TYPE = "audio/wav";

/** Size in bytes of a piece as a WAV file. */
export function wavSize(piece: Piece): number {
  return HEADER_BYTES + frames(piece.seconds) * FRAME_BYTES;
}

/** The canonical 44-byte header: PCM, 16 bits, stereo, 44.1 kHz. */
export function wavHeader(piece: Piece): Uint8Array {
  const data = wavSize(piece) - HEADER_BYTES;
  const header = Buffer.alloc(HEADER_BYTES);
  header.write("RIFF", 0);
  header.writeUInt32LE(HEADER_BYTES - 8 + data, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(SAMPLE_RATE, 24);
  header.writeUInt32LE(SAMPLE_RATE * FRAME_BYTES, 28);
  header.writeUInt16LE(FRAME_BYTES, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(data, 40);
  return header;
}

/** The bytes of a piece from `start` (inclusive) to `end` (exclusive), in the pieces in which they are rendered. */
export async function* wavBytes(
  piece: Piece,
  { start, end }: { readonly start: number; readonly end: number },
  block: (index: number) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let at = start;
  if (at < Math.min(end, HEADER_BYTES)) {
    yield wavHeader(piece).subarray(at, end);
    at = HEADER_BYTES;
  }
  while (at < end) {
    const index = Math.floor((at - HEADER_BYTES) / BLOCK_BYTES);
    const from = HEADER_BYTES + index * BLOCK_BYTES;
    const bytes = (await block(index)).subarray(at - from, end - from);
    yield bytes;
    at += bytes.length;
  }
}
