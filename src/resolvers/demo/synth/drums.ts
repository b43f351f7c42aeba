import { exp2, sinTurns } from "./math.ts";
import { modal } from "./modal.ts";
import { hash, noise } from "./random.ts";
import { PlacedSound, SAMPLE_RATE, type Sound } from "./sound.ts";

/** One stroke: `at` in seconds, `velocity` from 0 to 1, `pan` from -1 to 1. */
export interface Stroke {
  readonly at: number;
  readonly velocity: number;
  readonly pan: number;
}

/** A skin whose pitch falls (or rises) from one frequency to another, in Hz; `bend` and `decay` in seconds for 60 dB. */
export interface Skin {
  readonly from: number;
  readonly to: number;
  readonly bend: number;
  readonly decay: number;
  readonly level: number;
}

/** A drum whose pitch bends: kick, tom, or the left hand of a tabla. */
export function skin(stroke: Stroke, { from, to, bend, decay, level }: Skin): Sound {
  const rate = 6.907755 / bend;
  const place = { ...stroke, gain: stroke.velocity * level, attack: 0.002, hold: decay * 0.8, release: decay * 0.4 };
  return new PlacedSound(place, (out, lo, hi, onset) => {
    for (let i = lo; i < hi; i++) {
      const time = (onset + i - lo) / SAMPLE_RATE;
      const swing = exp2(-rate * 1.442695 * time);
      const turns = to * time + ((from - to) * (1 - swing)) / rate;
      out[i] = (sinTurns(turns) + 0.18 * sinTurns(2 * turns) * swing) * exp2((-9.966 * time) / decay);
    }
  });
}

/** A burst of noise. `tone` from -1 (dark) to 1 (bright); times in seconds. */
export interface Burst {
  readonly tone: number;
  readonly attack: number;
  readonly decay: number;
  readonly level: number;
}

/** Hats, shakers, brushes and the rattle of a snare. */
export function burst(stroke: Stroke, { tone, attack, decay, level }: Burst): Sound {
  const seed = hash(77, Math.round(stroke.at * 1000));
  const place = {
    ...stroke,
    gain: stroke.velocity * level,
    attack,
    hold: Math.max(attack, decay * 0.7),
    release: decay * 0.5,
  };
  return new PlacedSound(place, (out, lo, hi, onset) => {
    const fall = 9.966 / (decay * SAMPLE_RATE);
    const step = exp2(-fall);
    let envelope = exp2(-fall * onset);
    let older = noise(seed, onset - 2);
    let old = noise(seed, onset - 1);
    for (let i = lo; i < hi; i++) {
      const now = noise(seed, onset + i - lo);
      // Three taps: flat at 0, a treble boost towards 1, an average towards -1.
      out[i] = (now - 2 * tone * old + (tone > 0 ? tone * tone : -tone) * older) * 0.5 * envelope;
      envelope *= step;
      older = old;
      old = now;
    }
  });
}

/** A snare: the head's two tones; its rattle is a {@link burst}. */
export function snareHead(stroke: Stroke): Sound {
  const place = { ...stroke, gain: stroke.velocity * 0.35, attack: 0.001, hold: 0.12, release: 0.08 };
  return modal(place, () => [
    { hz: 186, amplitude: 0.7, decay: 0.16 },
    { hz: 331, amplitude: 0.45, decay: 0.11 },
    { hz: 610, amplitude: 0.15, decay: 0.06 },
  ]);
}

/**
 * The right hand of a tabla. Its loaded skin rings in harmonics: `na` is struck at the rim (weak first, strong second
 * and third), `tin` inside of it (strong first), `te` is damped. `hz` is the drum's pitch.
 */
export function tabla(stroke: Stroke, hz: number, kind: "na" | "tin" | "te"): Sound {
  const levels = {
    na: [0.12, 0.6, 0.5, 0.22, 0.12],
    tin: [0.75, 0.22, 0.12, 0.06, 0.03],
    te: [0.3, 0.35, 0.3, 0.25, 0.2],
  }[kind];
  const ring = { na: 0.9, tin: 1.5, te: 0.09 }[kind];
  const place = { ...stroke, gain: stroke.velocity * 0.3, attack: 0.001, hold: ring, release: 0.1 };
  return modal(place, () => [
    ...levels.map((amplitude, i) => ({ hz: hz * (i + 1) * (1 + 0.002 * i), amplitude, decay: ring / (1 + 0.45 * i) })),
    { hz: hz * 7.3, amplitude: 0.2, decay: 0.03 },
    { hz: hz * 9.1, amplitude: 0.15, decay: 0.02 },
  ]);
}
