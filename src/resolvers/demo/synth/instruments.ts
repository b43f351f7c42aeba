import { exp2, sinTurns } from "./math.ts";
import { modal, type Partial } from "./modal.ts";
import type { Placement, Sound } from "./sound.ts";

/** One note: `at` and `hold` in seconds, `velocity` from 0 to 1, `pan` from -1 (left) to 1 (right). */
export interface Note {
  readonly at: number;
  readonly hz: number;
  readonly hold: number;
  readonly velocity: number;
  readonly pan: number;
}

function placed(
  { at, hold, velocity, pan }: Note,
  shape: { attack: number; release: number; level: number },
): Placement {
  return { at, hold, pan, gain: velocity * shape.level, attack: shape.attack, release: shape.release };
}

function harmonics(count: number, partial: (n: number) => Partial): Partial[] {
  return Array.from({ length: count }, (_, i) => partial(i + 1));
}

/** How a string is made and where it is plucked. */
export interface StringMake {
  /** Seconds for the lowest partial to fall by 60 dB at 220 Hz; higher strings fall sooner. */
  readonly decay: number;
  /** Part of the length at which it is plucked or struck; partials with a node there are missing. */
  readonly position: number;
  /** Octaves of level lost a partial: 0 is as bright as a saw. */
  readonly softness: number;
  /** Stretches the partials, as stiffness does. */
  readonly stiffness: number;
  /** Seconds until a released string is quiet. */
  readonly damping: number;
  readonly level: number;
}

/** A plucked or struck string; harder is brighter. */
export function pluck(note: Note, make: StringMake): Sound {
  return modal(placed(note, { attack: 0.0015, release: make.damping, level: make.level }), () => {
    const count = Math.min(36, Math.floor(14_000 / note.hz));
    const decay = make.decay * Math.sqrt(220 / note.hz);
    const softness = make.softness * (1.5 - note.velocity);
    return harmonics(count, (n) => ({
      hz: note.hz * n * Math.sqrt((1 + make.stiffness * n * n) / (1 + make.stiffness)),
      amplitude: (sinTurns((n * make.position) / 2) * exp2(-softness * (n - 1))) / n,
      decay: decay / (1 + 0.14 * (n - 1)),
    }));
  });
}

/** A steel comb's tooth: a long pure tone and two short ones far above. */
export function musicBox(note: Note): Sound {
  return modal(placed(note, { attack: 0.001, release: 0.5, level: 0.3 }), () => {
    const decay = 2.6 * Math.sqrt(523 / note.hz);
    const { hz, velocity } = note;
    return [
      { hz, amplitude: 0.8, decay },
      { hz: hz * 1.0016, amplitude: 0.2, decay: decay * 0.8 },
      { hz: hz * 2.003, amplitude: 0.16, decay: decay * 0.45 },
      { hz: hz * 3.01, amplitude: 0.07, decay: decay * 0.3 },
      { hz: hz * 6.27, amplitude: 0.12 * velocity, decay: decay * 0.14 },
      { hz: hz * 10.4, amplitude: 0.05 * velocity, decay: 0.12 },
      { hz: 310, amplitude: 0.07, decay: 0.05 },
    ];
  });
}

/** A rosewood bar over a tuned tube; harder mallets wake the upper modes. */
export function marimba(note: Note): Sound {
  return modal(placed(note, { attack: 0.002, release: 0.2, level: 0.42 }), () => {
    const decay = 1.5 * Math.sqrt(262 / note.hz);
    const { hz, velocity } = note;
    return [
      { hz, amplitude: 0.85, decay },
      { hz: hz * 3.98, amplitude: 0.25 * velocity, decay: decay * 0.28 },
      { hz: hz * 9.6, amplitude: 0.12 * velocity * velocity, decay: decay * 0.1 },
      { hz: hz * 1.98, amplitude: 0.03, decay: decay * 0.4 },
      { hz: 190, amplitude: 0.1 * velocity, decay: 0.04 },
      { hz: 520, amplitude: 0.06 * velocity, decay: 0.03 },
    ];
  });
}

/** An aluminium bar with a turning fan in its tube. */
export function vibraphone(note: Note): Sound {
  const place = { ...placed(note, { attack: 0.004, release: 0.6, level: 0.3 }), tremolo: { hz: 4.3, depth: 0.25 } };
  return modal(place, () => [
    { hz: note.hz, amplitude: 0.85, decay: 6 },
    { hz: note.hz * 4.01, amplitude: 0.14 * note.velocity, decay: 2 },
    { hz: note.hz * 10.1, amplitude: 0.04 * note.velocity, decay: 0.5 },
  ]);
}

/** Glass struck softly: uneven partials that beat. */
export function glass(note: Note): Sound {
  return modal(placed(note, { attack: 0.012, release: 1.5, level: 0.22 }), () => {
    const { hz, velocity } = note;
    return [
      { hz, amplitude: 0.6, decay: 6 },
      { hz: hz * 1.0021, amplitude: 0.3, decay: 5 },
      { hz: hz * 2.756, amplitude: 0.2 * velocity, decay: 2.4 },
      { hz: hz * 2.764, amplitude: 0.12 * velocity, decay: 2.1 },
      { hz: hz * 5.404, amplitude: 0.08 * velocity, decay: 1 },
      { hz: hz * 8.93, amplitude: 0.03 * velocity, decay: 0.4 },
    ];
  });
}

/** A tine and a tone bar over a pickup: harder notes bark. The sound drifts between the speakers. */
export function electricPiano(note: Note): Sound {
  const place = { ...placed(note, { attack: 0.003, release: 0.18, level: 0.3 }), tremolo: { hz: 5.1, depth: 0.22 } };
  return modal(place, () => {
    const { hz, velocity } = note;
    const decay = 4.5 * Math.sqrt(262 / hz);
    const bark = velocity * velocity;
    return [
      { hz, amplitude: 0.75, decay },
      { hz: hz * 2, amplitude: 0.16 + 0.3 * bark, decay: decay * 0.5 },
      { hz: hz * 3, amplitude: 0.05 + 0.22 * bark, decay: decay * 0.33 },
      { hz: hz * 4, amplitude: 0.02 + 0.12 * bark, decay: decay * 0.25 },
      { hz: hz * 5, amplitude: 0.07 * bark, decay: decay * 0.18 },
      { hz: hz * 1.003, amplitude: 0.12, decay: decay * 0.7 },
      { hz: hz * 7.11, amplitude: 0.1 * velocity, decay: 0.35 },
      { hz: hz * 20.3, amplitude: 0.02 * velocity, decay: 0.1 },
    ];
  });
}

/** Levels of an organ's ranks against the key's pitch: multiple and level. */
const RANKS = [
  [1, 1],
  [2, 0.6],
  [3, 0.16],
  [4, 0.32],
  [6, 0.1],
  [8, 0.14],
] as const;

/** A small pipe organ. Each pipe has its harmonics, its own slight mistuning and, at the onset, a breath of chiff. */
export function organ(note: Note): Sound {
  return modal(placed(note, { attack: 0.028, release: 0.09, level: 0.12 }), () => [
    ...RANKS.flatMap(([multiple, level], rank) => {
      const hz = note.hz * multiple * (1 + 0.0007 * sinTurns(rank * 0.37 + note.hz * 0.113));
      return [1, 2, 3, 4, 5].map((n) => ({
        hz: hz * n,
        amplitude: (level * exp2(-1.3 * (n - 1))) / n,
        decay: Infinity,
        phase: rank * 0.21,
      }));
    }),
    { hz: note.hz * 2.97, amplitude: 0.5, decay: 0.09 },
    { hz: note.hz * 5.03, amplitude: 0.35, decay: 0.06 },
  ]);
}

/** A slow chord voice: pairs of partials a little apart, so that it breathes. `brightness` from 0 to 1; times in seconds. */
export function pad(note: Note, shape: { attack: number; release: number; brightness: number }): Sound {
  return modal(placed(note, { ...shape, level: 0.1 }), () => padPartials(note.hz, shape.brightness));
}

function padPartials(hz: number, brightness: number): Partial[] {
  const slope = 1.6 - 1.2 * brightness;
  const count = Math.max(1, Math.min(12, Math.floor(6000 / hz)));
  return harmonics(count, (n) => ({ hz: hz * n, amplitude: exp2(-slope * (n - 1)), decay: Infinity })).flatMap(
    (partial, i) => [
      { ...partial, hz: partial.hz * (1 - 0.0012 / (i + 1)), phase: (i * 0.37) % 1 },
      { ...partial, hz: partial.hz * (1 + 0.0013 / (i + 1)), phase: (i * 0.61 + 0.3) % 1 },
    ],
  );
}
