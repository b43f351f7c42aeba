/**
 * Sine and exponential from IEEE 754 basic operations alone. `Math.sin`, `Math.exp` and `**` may differ in the last bit
 * between engines and their versions; a variant promises the same bytes wherever it is rendered.
 */

const TAU = 6.283185307179586;
const LN2 = 0.6931471805599453;

/** sin(2πx) for x in turns, |x| < 2^31. Error below 1e-11. */
export function sinTurns(x: number): number {
  let r = x - Math.floor(x + 0.5);
  if (r > 0.25) r = 0.5 - r;
  else if (r < -0.25) r = -0.5 - r;
  const a = r * TAU;
  const z = a * a;
  return (
    a *
    (1 +
      z *
        (-1 / 6 +
          z *
            (1 / 120 +
              z * (-1 / 5040 + z * (1 / 362880 + z * (-1 / 39916800 + z * (1 / 6227020800 - z / 1307674368000)))))))
  );
}

/** cos(2πx) for x in turns. */
export function cosTurns(x: number): number {
  return sinTurns(x + 0.25);
}

const bits = new DataView(new ArrayBuffer(8));

/** 2^x; 0 below x = -1000. Relative error below 1e-14. */
export function exp2(x: number): number {
  if (x < -1000) return 0;
  const whole = Math.floor(x + 0.5);
  const a = (x - whole) * LN2;
  let sum = 1;
  for (let k = 14; k >= 1; k--) sum = 1 + (a / k) * sum;
  bits.setInt32(0, (whole + 1023) << 20);
  return sum * bits.getFloat64(0);
}

/** A number of decibels as a linear factor. */
export function decibels(db: number): number {
  return exp2(db * 0.16609640474436813);
}

/** Hz of a MIDI key number (69 is A4, 440 Hz); fractions are parts of a semitone. */
export function midiHz(key: number): number {
  return 440 * exp2((key - 69) / 12);
}

/** 0 to 1 with flat ends, for u from 0 to 1. */
export function smooth(u: number): number {
  if (u <= 0) return 0;
  return u >= 1 ? 1 : u * u * (3 - 2 * u);
}
