import type { Stroke } from "./drums.ts";
import { hash, noise } from "./random.ts";
import { PlacedSound, type Sound } from "./sound.ts";

/** Frames between two points of the dark noise and of the spray over it. */
const SWELL = 64;
const SPRAY = 9;

/** A wave on a beach that rises and runs out over `seconds`: noise drawn between points that lie far apart. */
export function surf(stroke: Stroke, seconds: number): Sound {
  const seed = hash(5, Math.round(stroke.at * 1000));
  const place = {
    ...stroke,
    gain: stroke.velocity * 0.035,
    attack: seconds * 0.45,
    hold: seconds * 0.45,
    release: seconds * 0.55,
  };
  return new PlacedSound(place, (out, lo, hi, onset) => {
    for (let i = lo; i < hi; i++) {
      const frame = onset + i - lo;
      out[i] = drawn(seed, frame, SWELL) + 0.25 * drawn(seed + 1, frame, SPRAY);
    }
  });
}

function drawn(seed: number, frame: number, spacing: number): number {
  const point = Math.floor(frame / spacing);
  const u = frame / spacing - point;
  const from = noise(seed, point);
  return from + (noise(seed, point + 1) - from) * u * u * (3 - 2 * u);
}
