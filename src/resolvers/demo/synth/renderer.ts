import { smooth } from "./math.ts";
import type { Piece } from "./piece.ts";
import { hash } from "./random.ts";
import { Recent } from "./recent.ts";
import { Reverb, silence } from "./reverb.ts";
import { BLOCK_FRAMES, frames, type Sound, type Stereo } from "./sound.ts";

/** Blocks kept between the stages: 32 KiB each. A stream uses as many as its room's tail is long, about 25. */
const KEPT_BLOCKS = 320;

/** Sounds are looked up by rows of blocks: by single blocks, the lists take longer to make than a block to render. */
const ROW_BLOCKS = 16;
const ROW_FRAMES = ROW_BLOCKS * BLOCK_FRAMES;

interface Prepared {
  readonly piece: Piece;
  readonly reverb: Reverb;
  /** The sounds that may be heard in each row of blocks. */
  readonly heard: readonly (readonly Sound[])[];
}

/** Renders any block of any piece, byte for byte the same whatever was rendered before. */
export class Renderer {
  readonly #prepared = new Map<string, Prepared>();
  readonly #dry = new Recent<Stereo>(KEPT_BLOCKS / 5);
  readonly #scattered = new Recent<Stereo>(KEPT_BLOCKS);

  /**
   * Block `index` of a piece as interleaved 16-bit little-endian PCM. A generator, so that whoever drives it can turn to
   * something else, or give up, between two slices of a few milliseconds.
   */
  *render(piece: Piece, index: number): Generator<void, Uint8Array> {
    const prepared = this.#prepare(piece);
    yield;
    const { reverb } = prepared;
    for (let back = reverb.reach; back >= 0; back--) {
      if (this.#cachedScatter(piece, index - back)) continue;
      this.#scatter(prepared, index - back);
      yield;
    }
    const dry = this.#dryBlock(prepared, index);
    const mix = { left: dry.left.slice(), right: dry.right.slice() };
    reverb.addTail(mix, (back) => this.#scatter(prepared, index - back));
    return toPcm(piece, mix, index);
  }

  #prepare(piece: Piece): Prepared {
    const known = this.#prepared.get(piece.id);
    if (known) return known;
    const heard: Sound[][] = Array.from({ length: Math.ceil(frames(piece.seconds) / ROW_FRAMES) }, () => []);
    for (const sound of piece.compose()) {
      for (let row = Math.max(0, Math.floor(sound.start / ROW_FRAMES)); row * ROW_FRAMES < sound.end; row++) {
        heard[row]?.push(sound);
      }
    }
    const prepared = { piece, reverb: new Reverb(piece.room), heard };
    this.#prepared.set(piece.id, prepared);
    return prepared;
  }

  #dryBlock({ piece, heard }: Prepared, index: number): Stereo {
    const key = `${piece.id}/${index}`;
    const known = this.#dry.get(key);
    if (known) return known;
    const block = silence();
    for (const sound of heard[Math.floor(index / ROW_BLOCKS)] ?? []) sound.mix(block, index * BLOCK_FRAMES);
    this.#dry.set(key, block);
    return block;
  }

  #cachedScatter(piece: Piece, index: number): Stereo | undefined {
    return index < 0 ? NOTHING : this.#scattered.get(`${piece.id}/${index}`);
  }

  #scatter(prepared: Prepared, index: number): Stereo {
    const known = this.#cachedScatter(prepared.piece, index);
    if (known) return known;
    const before = index > 0 ? this.#dryBlock(prepared, index - 1) : NOTHING;
    const block = prepared.reverb.scatter(this.#dryBlock(prepared, index), before);
    this.#scattered.set(`${prepared.piece.id}/${index}`, block);
    return block;
  }
}

const NOTHING = silence();

function toPcm(piece: Piece, { left, right }: Stereo, index: number): Uint8Array {
  const total = frames(piece.seconds);
  const first = index * BLOCK_FRAMES;
  const count = Math.min(BLOCK_FRAMES, total - first);
  const bytes = new Uint8Array(count * 4);
  const view = new DataView(bytes.buffer);
  const fadeIn = frames(piece.fadeIn);
  const fadeOut = frames(piece.fadeOut);
  for (let i = 0; i < count; i++) {
    const frame = first + i;
    let gain = piece.gain;
    if (frame < fadeIn) gain *= smooth(frame / fadeIn);
    if (total - frame < fadeOut) gain *= smooth((total - frame) / fadeOut);
    const dither = hash(1, frame);
    view.setInt16(i * 4, quantise((left[i] ?? 0) * gain, dither), true);
    view.setInt16(i * 4 + 2, quantise((right[i] ?? 0) * gain, Math.imul(dither, 0x9e3779b1)), true);
  }
  return bytes;
}

/** Rounds with triangular dither from two halves of `bits`: without it fades end in a grain that follows the music. */
function quantise(value: number, bits: number): number {
  const dither = ((bits & 0xffff) - (bits >>> 16)) / 0x10000;
  return Math.round(limit(value) * 32_000 + dither);
}

/** Unchanged up to 0.7, then bent towards 1, which it never reaches. */
function limit(value: number): number {
  const size = Math.abs(value);
  if (size <= 0.7) return value;
  const over = (size - 0.7) / 0.3;
  return Math.sign(value) * (0.7 + (0.3 * over) / (1 + over));
}
