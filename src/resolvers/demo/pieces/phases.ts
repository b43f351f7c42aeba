import { marimba, type Note, vibraphone } from "../synth/instruments.ts";
import { midiHz } from "../synth/math.ts";
import type { Piece } from "../synth/piece.ts";
import { sequence } from "../synth/random.ts";
import type { Sound } from "../synth/sound.ts";
import { chords, nearest, voiceLeading } from "./harmony.ts";
import { arch } from "./notation.ts";

/** Seconds between two notes of the pattern. */
const STEP = 0.138;
/** Twelve steps; 0 is a rest. B, D, E, F sharp, A: a pattern that makes new tunes with each of its own shifts. */
const PATTERN = [64, 71, 66, 74, 0, 71, 69, 76, 66, 74, 71, 0];
const CYCLE = PATTERN.length;

/** The second player holds a shift for some cycles, then gains one step over the next two. */
const HELD = 4;
const GAINING = 2;
const SHIFTS = 12;
/** Cycles for which the first player is alone, then both together, before the second begins to gain. */
const ALONE = 4;
const TOGETHER = 4;
const LAST_CYCLE = ALONE + TOGETHER + SHIFTS * (HELD + GAINING) + 8;

/** The ground under the pattern, one chord a shift: the same notes in ever other light. */
const GROUND = "Em7 Em7 Cmaj9 Cmaj9 D6 Bm7 G6 Gmaj9 Am9 Cmaj9 D6 Bm7 Em7";

/** Which step of the cycle the second player has gained by a cycle (fractions while gaining). */
function gained(cycle: number): number {
  const since = cycle - ALONE - TOGETHER;
  if (since <= 0) return 0;
  const shift = Math.floor(since / (HELD + GAINING));
  const within = since - shift * (HELD + GAINING) - HELD;
  return Math.min(SHIFTS, shift + Math.max(0, within / GAINING));
}

function compose(): Sound[] {
  const random = sequence(12);
  const sounds: Sound[] = [];
  const at = (step: number): number => 0.3 + step * STEP + 0.003 * random();
  const bar = (note: Note): number => sounds.push(marimba(note));

  for (let step = 0; step < LAST_CYCLE * CYCLE; step++) {
    const key = PATTERN[step % CYCLE] ?? 0;
    const cycle = step / CYCLE;
    if (key === 0) continue;
    const accent = step % CYCLE === 0 ? 0.14 : 0;
    const swell = arch((cycle % 6) / 6, 0.2, 0.5) * Math.min(1, 0.5 + cycle / 6, 0.35 + (LAST_CYCLE - cycle) / 8);
    bar({ at: at(step), hz: midiHz(key), hold: 0.8, velocity: (0.62 + accent + 0.08 * random()) * swell, pan: -0.55 });
    if (cycle >= ALONE && cycle < LAST_CYCLE - 4) {
      const entry = Math.min(1, (cycle - ALONE) / 3) * swell;
      const ahead = step - gained(cycle);
      bar({ at: at(ahead), hz: midiHz(key), hold: 0.8, velocity: (0.6 + accent + 0.08 * random()) * entry, pan: 0.55 });
    }
  }

  const row = chords(GROUND);
  const voicings = voiceLeading(row, 4, 62);
  row.forEach(({ bass }, shift) => {
    const first = (ALONE + TOGETHER + shift * (HELD + GAINING) - GAINING) * CYCLE;
    const intensity = 0.5 + 0.5 * arch(shift / SHIFTS, 1, 0.65);
    for (let pulse = 0; pulse < HELD + GAINING; pulse++) {
      const start = first + pulse * CYCLE;
      const root = nearest(bass, 40);
      bar({ at: at(start), hz: midiHz(root), hold: 2, velocity: 0.85 * intensity, pan: 0 });
      bar({
        at: at(start + 7),
        hz: midiHz(root + (pulse % 2 === 0 ? 7 : 12)),
        hold: 2,
        velocity: 0.55 * intensity,
        pan: 0,
      });
      if (pulse % 2 !== 0) continue;
      voicings[shift]?.forEach((key, i) => {
        const note = { at: at(start + 2 * i), hz: midiHz(key + (shift > 5 ? 12 : 0)), hold: 2.4, pan: -0.3 + 0.2 * i };
        sounds.push(vibraphone({ ...note, velocity: 0.4 * intensity }));
      });
    }
    if (shift >= 2 && shift <= 11) sounds.push(...resultant(shift, first, 0.55 * intensity, at));
  });
  for (const [i, key] of [40, 52, 59, 64, 71, 76].entries()) {
    bar({
      at: at(LAST_CYCLE * CYCLE + (i < 1 ? 0 : i * 0.4)),
      hz: midiHz(key),
      hold: 3,
      velocity: 0.42,
      pan: -0.4 + 0.16 * i,
    });
  }
  return sounds;
}

/** A tune that the two players make together, picked out an octave above: the high notes that fall on every third step. */
function resultant(shift: number, first: number, velocity: number, at: (step: number) => number): Sound[] {
  const sounds: Sound[] = [];
  for (let step = 0; step < HELD * CYCLE; step++) {
    const one = PATTERN[step % CYCLE] ?? 0;
    const other = PATTERN[(step + shift) % CYCLE] ?? 0;
    const key = Math.max(one, other);
    if (key < 71 || (step * 5 + shift) % 3 !== 0) continue;
    const swell = arch(step / (HELD * CYCLE), 0.7, 0.5);
    const start = at(first + GAINING * CYCLE + step);
    sounds.push(vibraphone({ at: start, hz: midiHz(key + 12), hold: 0.9, velocity: velocity * swell, pan: 0.1 }));
  }
  return sounds;
}

export const phases: Piece = {
  id: "twelve-steps",
  title: "Twelve Steps Apart",
  artist: "The Afterbay Ensemble",
  album: "Made While You Listen",
  version: 1,
  seconds: Math.ceil(LAST_CYCLE * CYCLE * STEP + 6),
  fadeIn: 0.02,
  fadeOut: 3,
  gain: 0.85,
  room: { seconds: 1.1, level: 0.25, predelay: 0.015 },
  compose,
};
