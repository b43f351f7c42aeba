/** A plucked note of a raga with the notes it is pulled to: `at` and `beats` in beats, ratios to Sa. */
export interface Swara {
  readonly at: number;
  readonly beats: number;
  /** The first is plucked, the others are reached by pulling the string; each with the beat where it is reached. */
  readonly pitches: readonly { readonly at: number; readonly ratio: number }[];
}

/** Just intonation with the raised fourth of Yaman, `m`. */
const RATIOS: Readonly<Record<string, number>> = {
  S: 1,
  R: 9 / 8,
  G: 5 / 4,
  m: 45 / 32,
  P: 3 / 2,
  D: 27 / 16,
  N: 15 / 8,
};

/**
 * A phrase such as `,N:1 R ~G:3 S'`: `,` before is the lower octave, `'` after the upper, `~` glides there without
 * another stroke, `-` rests; beats after a colon hold until others are named.
 */
export function sargam(text: string): { swaras: Swara[]; beats: number } {
  const swaras: Swara[] = [];
  let at = 0;
  let beats = 1;
  for (const token of text.split(/[\s|]+/).filter(Boolean)) {
    const [name = "", length] = token.split(":");
    if (length !== undefined) beats = Number(length);
    const ratio = RATIOS[name.replace(/[~,']/g, "")];
    const last = swaras.at(-1);
    if (ratio !== undefined) {
      const pitch = { at, ratio: ratio * (name.includes(",") ? 0.5 : 1) * (name.endsWith("'") ? 2 : 1) };
      if (name.startsWith("~") && last) {
        swaras[swaras.length - 1] = { ...last, beats: at + beats - last.at, pitches: [...last.pitches, pitch] };
      } else swaras.push({ at, beats, pitches: [pitch] });
    }
    at += beats;
  }
  return { swaras, beats: at };
}
