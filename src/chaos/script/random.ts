import type { At, Behaviour } from "../upstream/behaviour.ts";
import { hash32 } from "../upstream/bytes.ts";
import type { Asked, Rule } from "../upstream/script.ts";
import { choice, complain, list, object, type Reader, seed, whole } from "./reader.ts";

/** Faults drawn by lot. */
export interface RandomFaults {
  /** Absent: the script's. */
  readonly seed?: number;
  /** How many requests are disturbed, from 0 to 1. */
  readonly rate: number;
  /** At most so many of a track's requests in a row. */
  readonly streak: number;
  /** What is drawn from. */
  readonly kinds: readonly RandomKind[];
}

const RATE = 0.3;
/** Afterbay tries five times without a byte, and asks for another URL twice. */
const STREAK = 2;
/** Of what was asked for, where the end is not known. */
const FAR = 1024 * 1024;

/** A lot: from 0 to 1, and from one whole number to another, both inclusive. */
interface Lot {
  readonly from: (low: number, high: number) => number;
  readonly of: <T>(choices: readonly T[]) => T;
}

const inBody = (lot: Lot, length: number): number => lot.from(0, Math.max(0, length - 1));
const anywhere = (lot: Lot, length: number): At => (lot.from(0, 4) === 0 ? "headers" : inBody(lot, length));

const KINDS = {
  latency: (lot) => ({ latency: lot.from(50, 1500) }),
  status: (lot) => ({ status: lot.of([500, 502, 503, 504]) }),
  retryAfter: (lot) => ({ status: lot.of([429, 503]), retryAfter: 1 }),
  reset: (lot, length) => ({ reset: anywhere(lot, length) }),
  close: (lot, length) => ({ close: anywhere(lot, length) }),
  stall: (lot, length) => ({ stall: anywhere(lot, length) }),
  pause: (lot, length) => ({ pause: { at: inBody(lot, length), ms: lot.from(100, 2500) } }),
  trickle: (lot, length) => ({ trickle: { at: inBody(lot, length), rate: lot.from(200, 1500) } }),
  truncate: (lot, length) => ({ truncate: Math.max(1, inBody(lot, length)) }),
  surplus: (lot) => ({ surplus: { bytes: lot.from(1, 5000), counted: lot.of(["length", "range", "raw"] as const) } }),
  ignoreRange: () => ({ ignoreRange: true }),
  contentRange: (lot) => ({ contentRange: lot.of(["missing", { shift: lot.from(1, 100_000) }] as const) }),
  shiftRange: (lot) => ({ shiftRange: lot.from(1, 100_000) }),
  multipart: () => ({ multipart: true }),
  unsatisfiable: () => ({ unsatisfiable: "bare" }),
  encode: (lot) => ({ encode: lot.of(["gzip", "br", "deflate"] as const) }),
  page: (lot) => ({ page: lot.of(["html", "json"] as const) }),
  redirect: (lot) => ({ redirect: { status: lot.of([301, 302, 303, 307, 308]), chain: lot.from(1, 5) } }),
} satisfies Readonly<Record<string, (lot: Lot, length: number) => Behaviour>>;

export type RandomKind = keyof typeof KINDS;

const kindNames = Object.keys(KINDS).filter((name): name is RandomKind => name in KINDS);

export const randomFaults: Reader<RandomFaults> = (value, at) => {
  const read = object({
    seed,
    rate: (rate, where) =>
      typeof rate === "number" && rate >= 0 && rate <= 1 ? rate : complain(where, rate, "a number from 0 to 1"),
    streak: whole(1, 1_000_000, "a whole number from 1 to 1000000"),
    kinds: list(choice(...kindNames)),
  })(value, at);
  const { rate = RATE, streak = STREAK, kinds = kindNames } = read;
  if (kinds.length === 0) complain(`${at}.kinds`, kinds, "a list with something in it");
  return { ...read, rate, streak, kinds };
};

/**
 * A rule that draws lots for the requests of one track: the same for the same seed, track and request number, whatever
 * the requests are for.
 */
export function randomRule({ rate, streak, kinds }: RandomFaults, seedUsed: number): Rule {
  let inRow = 0;
  return {
    do({ resource, index, start, end }: Asked): Behaviour | undefined {
      const lot = drawing(seedUsed, `${resource}\n${index}`);
      const drawn = lot.from(0, 999_999) < rate * 1_000_000;
      inRow = drawn && inRow < streak ? inRow + 1 : 0;
      if (inRow === 0) return undefined;
      return KINDS[lot.of(kinds)](lot, Number.isFinite(end) ? end - start : FAR);
    },
  };
}

function drawing(seedUsed: number, name: string): Lot {
  let draws = 0;
  const from = (low: number, high: number): number => {
    draws++;
    return low + (hash32(`${name}\n${draws}`, seedUsed) % (high - low + 1));
  };
  return {
    from,
    of: (choices) => {
      const chosen = choices[from(0, choices.length - 1)];
      if (chosen === undefined) throw new RangeError("A choice of nothing");
      return chosen;
    },
  };
}
