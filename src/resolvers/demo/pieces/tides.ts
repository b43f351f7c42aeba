import { glass, pad } from "../synth/instruments.ts";
import { midiHz, sinTurns } from "../synth/math.ts";
import type { Piece } from "../synth/piece.ts";
import { sequence } from "../synth/random.ts";
import type { Sound } from "../synth/sound.ts";
import { surf } from "../synth/surf.ts";
import { chords, nearest, voiceLeading } from "./harmony.ts";
import { arch } from "./notation.ts";

const HARMONY = "Dadd9 Bm9 Gmaj9 D/F# Em9 Asus Bm9 F#m7 Gmaj9 Em9 Bbmaj9 Fmaj9 C/E Em9 Asus Gmaj9 Dadd9";
/** Seconds a chord. */
const SPAN = 13;
const SECONDS = 17 * SPAN + 9;

function compose(): Sound[] {
  const random = sequence(4711);
  const sounds: Sound[] = [];
  const row = chords(HARMONY);
  const voicings = voiceLeading(row, 5, 62);

  row.forEach(({ bass }, i) => {
    const start = 1 + i * SPAN;
    const tide = arch((i + 0.5) / row.length, 0.6, 0.62);
    const hold = SPAN + 1;
    const root = midiHz(nearest(bass, 38));
    sounds.push(
      pad({ at: start, hz: root, hold, velocity: 1.1 * tide, pan: 0 }, { attack: 4, release: 6, brightness: 0.1 }),
    );
    sounds.push(
      pad(
        { at: start + 1, hz: root * 1.5, hold, velocity: 0.4 * tide, pan: 0.2 },
        { attack: 5, release: 6, brightness: 0 },
      ),
    );
    voicings[i]?.forEach((key, voice) => {
      // Each voice moves in its own time, so that one chord dissolves into the next.
      const at = start + voice * 1.1 + 0.8 * random();
      const pan = 0.75 * sinTurns(voice * 0.31 + i * 0.07);
      const note = { hz: midiHz(key), hold: SPAN - 1, pan };
      sounds.push(pad({ ...note, at, velocity: 0.7 * tide }, { attack: 4.5, release: 6, brightness: 0.15 }));
      sounds.push(
        pad(
          { ...note, at: at + 3, hold: SPAN - 5, pan: -pan, velocity: 0.3 * tide },
          { attack: 4, release: 5, brightness: 0.75 },
        ),
      );
    });
    sounds.push(...drops(voicings[i] ?? [], start, i, tide, random));
  });

  for (let at = 0.5, i = 0; at < SECONDS - 14; i++) {
    const length = 8 + 4 * random();
    sounds.push(surf({ at, velocity: 0.55 + 0.45 * random(), pan: 0.6 * sinTurns(i * 0.37) }, length));
    at += length * 0.8;
  }
  return sounds;
}

/** Glass notes over a chord, each answered twice from further away. */
function drops(voicing: readonly number[], start: number, i: number, tide: number, random: () => number): Sound[] {
  const sounds: Sound[] = [];
  const count = Math.round(1 + 5 * tide * (i === 0 ? 0.4 : 1));
  let at = start + 3;
  for (let n = 0; n < count; n++) {
    const key = (voicing[Math.floor(random() * voicing.length)] ?? 62) + (random() < 0.3 ? 24 : 12);
    const pan = 1.2 * random() - 0.6;
    const velocity = (0.6 + 0.4 * random()) * tide;
    [1, 0.42, 0.18].forEach((level, echo) => {
      sounds.push(
        glass({
          at: at + echo * 0.78,
          hz: midiHz(key),
          hold: 3,
          velocity: velocity * level,
          pan: echo % 2 === 0 ? pan : -pan,
        }),
      );
    });
    at += ([0.78, 1.56, 2.34, 1.17][Math.floor(random() * 4)] ?? 1) + 0.02 * random();
  }
  return sounds;
}

export const tides: Piece = {
  id: "tide-tables",
  title: "Tide Tables",
  artist: "The Afterbay Ensemble",
  album: "Made While You Listen",
  version: 1,
  seconds: SECONDS,
  fadeIn: 3,
  fadeOut: 9,
  gain: 0.75,
  room: { seconds: 2.2, level: 0.6, predelay: 0.03 },
  compose,
};
