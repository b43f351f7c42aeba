import { cosTurns, exp2, sinTurns } from "./math.ts";
import { BLOCK_FRAMES, type Placement, PlacedSound, SAMPLE_RATE, type Sound } from "./sound.ts";

/** A pitch reached at `at` seconds after the onset; between two of them the pitch moves smoothly. */
export interface PitchPoint {
  readonly at: number;
  readonly hz: number;
}

/** A string or reed whose pitch moves: harmonics of one phase. */
export interface GlideVoice {
  readonly points: readonly PitchPoint[];
  readonly vibrato?: {
    readonly hz: number /** Part of the pitch. */;
    readonly depth: number /** Seconds. */;
    readonly delay: number;
  };
  /** Writes the level of harmonic k (from 1) at `seconds` after the onset into `levels[k]`; length is harmonics + 1. */
  readonly levels: (seconds: number, levels: Float64Array) => void;
  readonly harmonics: number;
}

const CONTROL_FRAMES = 128;
const PHASE_FRAMES = 16;
/** Before the note's own gain: -80 dB. */
const INAUDIBLE = 1e-4;
const twoCos = new Float64Array(BLOCK_FRAMES);
const sines = new Float64Array(BLOCK_FRAMES);

/** The integral of a pitch that moves between points by a smoothstep is a polynomial: phase at any time in closed form. */
class Phase {
  readonly #points: readonly PitchPoint[];
  readonly #turns: number[] = [];
  readonly #vibrato: GlideVoice["vibrato"];
  #segment = 0;

  constructor(voice: GlideVoice) {
    this.#points = voice.points;
    this.#vibrato = voice.vibrato;
    let turns = 0;
    voice.points.forEach((point, i) => {
      const earlier = voice.points[i - 1];
      if (earlier) turns += ((point.hz + earlier.hz) / 2) * (point.at - earlier.at);
      this.#turns.push(turns);
    });
  }

  /** Turns since the onset. */
  at(seconds: number): number {
    while (this.#segment > 0 && (this.#points[this.#segment]?.at ?? 0) > seconds) this.#segment--;
    while ((this.#points[this.#segment + 1]?.at ?? Infinity) <= seconds) this.#segment++;
    const from = this.#points[this.#segment];
    if (!from) return 0;
    const to = this.#points[this.#segment + 1];
    const base = this.#turns[this.#segment] ?? 0;
    const passed = seconds - from.at;
    let turns = base + from.hz * passed;
    if (to) {
      const span = to.at - from.at;
      const u = passed / span;
      turns += (to.hz - from.hz) * span * u * u * u * (1 - u / 2);
    }
    const vibrato = this.#vibrato;
    if (vibrato && seconds > vibrato.delay) {
      const since = seconds - vibrato.delay;
      const grown = Math.min(1, since);
      // A phase that moves as 1 - cos is a pitch that moves as sin; growing the phase's swing keeps it closed-form.
      turns +=
        ((from.hz * vibrato.depth * grown) / (6.283185307179586 * vibrato.hz)) * (1 - cosTurns(vibrato.hz * since));
    }
    return turns;
  }
}

/** A sound with a moving pitch. Levels are taken every 128 frames, phases every 16, and joined by lines. */
export function glide(place: Placement, voice: GlideVoice): Sound {
  const phase = new Phase(voice);
  const levels = new Float64Array(voice.harmonics + 1);
  const next = new Float64Array(voice.harmonics + 1);
  return new PlacedSound(place, (out, lo, hi, onset) => {
    const base = onset - lo;
    const first = lo - (lo % CONTROL_FRAMES);
    fillPhases(phase, first, hi, base);
    voice.levels((base + first) / SAMPLE_RATE, next);
    for (let from = first; from < hi; from += CONTROL_FRAMES) {
      levels.set(next);
      voice.levels((base + from + CONTROL_FRAMES) / SAMPLE_RATE, next);
      let top = voice.harmonics;
      while (top > 1 && Math.max(levels[top] ?? 0, next[top] ?? 0) < INAUDIBLE) top--;
      for (let i = from; i < Math.min(hi, from + CONTROL_FRAMES); i += 4) {
        fillFour(out, i, top, levels, next, (i - from) / CONTROL_FRAMES);
      }
    }
  });
}

function fillPhases(phase: Phase, lo: number, hi: number, base: number): void {
  let turns = phase.at((base + lo) / SAMPLE_RATE);
  for (let from = lo; from < hi; from += PHASE_FRAMES) {
    const next = phase.at((base + from + PHASE_FRAMES) / SAMPLE_RATE);
    const step = (next - turns) / PHASE_FRAMES;
    const turnSin = sinTurns(step);
    const turnCos = cosTurns(step);
    let s = sinTurns(turns);
    let c = cosTurns(turns);
    for (let i = from; i < from + PHASE_FRAMES; i++) {
      sines[i] = s;
      twoCos[i] = 2 * c;
      const turned = s * turnCos + c * turnSin;
      c = c * turnCos - s * turnSin;
      s = turned;
    }
    turns = next;
  }
}

/** sin((k+1)x) = 2 cos(x) sin(kx) - sin((k-1)x): one multiplication a harmonic; four frames at a time keep the CPU busy. */
function fillFour(
  out: Float64Array,
  i: number,
  top: number,
  levels: Float64Array,
  next: Float64Array,
  u: number,
): void {
  const aTurn = twoCos[i] ?? 0;
  const bTurn = twoCos[i + 1] ?? 0;
  const cTurn = twoCos[i + 2] ?? 0;
  const dTurn = twoCos[i + 3] ?? 0;
  let a = sines[i] ?? 0;
  let b = sines[i + 1] ?? 0;
  let c = sines[i + 2] ?? 0;
  let d = sines[i + 3] ?? 0;
  let aBefore = 0;
  let bBefore = 0;
  let cBefore = 0;
  let dBefore = 0;
  let aSum = 0;
  let bSum = 0;
  let cSum = 0;
  let dSum = 0;
  for (let k = 1; k <= top; k++) {
    const level = levels[k] ?? 0;
    const now = level + u * ((next[k] ?? 0) - level);
    aSum += now * a;
    bSum += now * b;
    cSum += now * c;
    dSum += now * d;
    const aNext = aTurn * a - aBefore;
    aBefore = a;
    a = aNext;
    const bNext = bTurn * b - bBefore;
    bBefore = b;
    b = bNext;
    const cNext = cTurn * c - cBefore;
    cBefore = c;
    c = cNext;
    const dNext = dTurn * d - dBefore;
    dBefore = d;
    d = dNext;
  }
  out[i] = aSum;
  out[i + 1] = bSum;
  out[i + 2] = cSum;
  out[i + 3] = dSum;
}

/**
 * Levels of a plucked string over a flat bridge (jawari): a cluster of strong harmonics that wanders downwards as the
 * string's swing shrinks. `decay` is the first harmonic's time to fall by 60 dB, in seconds.
 */
export function jawari(options: {
  harmonics: number;
  decay: number;
  bloom: number;
  top: number;
  tilt: number;
}): GlideVoice["levels"] {
  const { harmonics, decay, bloom, top, tilt } = options;
  const base = Float64Array.from({ length: harmonics + 1 }, (_, k) =>
    k === 0 ? 0 : exp2(-tilt * (k - 1)) / Math.sqrt(k),
  );
  return (seconds, levels) => {
    const time = Math.max(0, seconds);
    const centre = 2.5 + top * exp2((-time * 3) / decay);
    for (let k = 1; k <= harmonics; k++) {
      const distance = (k - centre) / (1.5 + centre / 4);
      const cluster = 1 + bloom / (1 + distance * distance * distance * distance);
      levels[k] = (base[k] ?? 0) * cluster * exp2((-9.97 * time * (1 + 0.09 * (k - 1))) / decay);
    }
  };
}
