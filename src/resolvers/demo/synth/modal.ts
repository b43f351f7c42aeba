import { cosTurns, exp2, sinTurns } from "./math.ts";
import { type Placement, PlacedSound, SAMPLE_RATE, type Sound } from "./sound.ts";

/** One decaying sine of a struck, plucked or sustained body. */
export interface Partial {
  readonly hz: number;
  readonly amplitude: number;
  /** Seconds until it has fallen by 60 dB; Infinity to sustain. */
  readonly decay: number;
  /** Phase at the onset, in turns. */
  readonly phase?: number;
}

/** Below this a partial is left out: -120 dB of full scale. */
const INAUDIBLE = 1e-6;
const HIGHEST_HZ = 17_000;
const LOG2_60DB = 9.965784284662087;

/** A sound that is a sum of decaying sines. `partials` is asked once, when the sound is first heard. */
export function modal(place: Placement, partials: () => readonly Partial[]): Sound {
  let bank: Float64Array | undefined;
  return new PlacedSound(place, (out, lo, hi, onset) => {
    bank ??= pack(partials());
    fillModes(bank, out, lo, hi, onset);
  });
}

const FIELDS = 4;

function pack(partials: readonly Partial[]): Float64Array {
  const heard = partials.filter(({ hz, amplitude }) => hz < HIGHEST_HZ && Math.abs(amplitude) > INAUDIBLE);
  return Float64Array.from(
    heard.flatMap(({ hz, amplitude, decay, phase = 0 }) => [
      hz / SAMPLE_RATE,
      amplitude,
      LOG2_60DB / (decay * SAMPLE_RATE),
      phase,
    ]),
  );
}

const modes = new Float64Array(4 * 512);

/** Each mode is a two-pole recurrence started from the closed form at `onset`, so any frame is reached at once. */
function fillModes(bank: Float64Array, out: Float64Array, lo: number, hi: number, onset: number): void {
  let count = 0;
  for (let p = 0; p < bank.length && count < 508; p += FIELDS) {
    const turns = bank[p] ?? 0;
    const fall = bank[p + 2] ?? 0;
    const phase = bank[p + 3] ?? 0;
    const level = (bank[p + 1] ?? 0) * exp2(-fall * onset);
    if (Math.abs(level) < INAUDIBLE) continue;
    const radius = exp2(-fall);
    const m = count++ * 4;
    modes[m] = level * sinTurns(phase + turns * onset);
    modes[m + 1] = (level / radius) * sinTurns(phase + turns * (onset - 1));
    modes[m + 2] = 2 * radius * cosTurns(turns);
    modes[m + 3] = radius * radius;
  }
  while (count % 4 !== 0) modes.fill(0, count * 4, ++count * 4);
  for (let m = 0; m < count; m += 4) fillFour(m * 4, out, lo, hi);
}

/** Four modes a pass: one alone would wait on its own multiplications. */
function fillFour(m: number, out: Float64Array, lo: number, hi: number): void {
  let a = modes[m] ?? 0;
  let aBefore = modes[m + 1] ?? 0;
  const aTurn = modes[m + 2] ?? 0;
  const aFall = modes[m + 3] ?? 0;
  let b = modes[m + 4] ?? 0;
  let bBefore = modes[m + 5] ?? 0;
  const bTurn = modes[m + 6] ?? 0;
  const bFall = modes[m + 7] ?? 0;
  let c = modes[m + 8] ?? 0;
  let cBefore = modes[m + 9] ?? 0;
  const cTurn = modes[m + 10] ?? 0;
  const cFall = modes[m + 11] ?? 0;
  let d = modes[m + 12] ?? 0;
  let dBefore = modes[m + 13] ?? 0;
  const dTurn = modes[m + 14] ?? 0;
  const dFall = modes[m + 15] ?? 0;
  for (let i = lo; i < hi; i++) {
    out[i] = (out[i] ?? 0) + (a + b + (c + d));
    const aNext = aTurn * a - aFall * aBefore;
    aBefore = a;
    a = aNext;
    const bNext = bTurn * b - bFall * bBefore;
    bBefore = b;
    b = bNext;
    const cNext = cTurn * c - cFall * cBefore;
    cBefore = c;
    c = cNext;
    const dNext = dTurn * d - dFall * dBefore;
    dBefore = d;
    d = dNext;
  }
}
