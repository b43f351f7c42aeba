import { parseDuration } from "../../durations.ts";
import { ConfigError } from "../../errors.ts";
import { parseSize } from "../../sizes.ts";

/**
 * Reads one value of a script. `at` is where it stands, as in `tracks.song.faults[0].do`. Throws a ConfigError with one
 * line for what it cannot read.
 */
export type Reader<T> = (value: unknown, at: string) => T;

type Fields = Readonly<Record<string, Reader<unknown>>>;
type Read<F extends Fields> = { readonly [K in keyof F]?: ReturnType<F[K]> };

const LONGEST_QUOTE = 60;

/** Completes `at: VALUE is not …`. */
export function complain(at: string, value: unknown, is: string): never {
  const text = JSON.stringify(value) ?? "nothing";
  const quote = text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
  throw new ConfigError(`${at === "" ? "the script" : at}: ${quote} is not ${is}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Where a key of what stands at `at` is. */
function below(at: string, key: string): string {
  const step = /^[\w$-]+$/.test(key) ? key : JSON.stringify(key);
  return at === "" ? step : `${at}.${step}`;
}

/** An object with these keys and no others; all may be left out. */
export function object<F extends Fields>(fields: F): Reader<Read<F>> {
  return (value, at) => {
    if (!isRecord(value)) return complain(at, value, "an object");
    const read: Record<string, unknown> = {};
    for (const [key, field] of Object.entries(value)) {
      const reader = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (reader === undefined) {
        throw new ConfigError(
          `${below(at, key)}: there is no such key; known ${at === "" ? "" : "here "}are ${Object.keys(fields).join(", ")}`,
        );
      }
      read[key] = reader(field, below(at, key));
    }
    // Each key was read by its own reader.
    return read as Read<F>;
  };
}

/** The value of `key`, which `object` found to be missing or not. */
export function needed<T>(value: T | undefined, at: string, key: string): T {
  if (value === undefined) throw new ConfigError(`${at === "" ? "the script" : at}: "${key}" is missing`);
  return value;
}

/** An object with keys of the script's own. */
export function map<T>(reader: Reader<T>, name: Reader<string>): Reader<ReadonlyMap<string, T>> {
  return (value, at) => {
    if (!isRecord(value)) return complain(at, value, "an object");
    const entries = Object.entries(value);
    return new Map(entries.map(([key, one]) => [name(key, below(at, key)), reader(one, below(at, key))]));
  };
}

export function list<T>(reader: Reader<T>): Reader<readonly T[]> {
  return (value, at) =>
    Array.isArray(value)
      ? value.map((one: unknown, index) => reader(one, `${at}[${index}]`))
      : complain(at, value, "a list");
}

type Kind = "number" | "string" | "boolean" | "null" | "list" | "object";

function kindOf(value: unknown): Kind | "nothing" {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  const kind = typeof value;
  return kind === "number" || kind === "string" || kind === "boolean" || kind === "object" ? kind : "nothing";
}

/** A value that may be written in several JSON types, a reader for each. `is` names them all. */
export function byKind<T>(is: string, readers: Readonly<Partial<Record<Kind, Reader<T>>>>): Reader<T> {
  return (value, at) => {
    const kind = kindOf(value);
    const reader = kind === "nothing" ? undefined : readers[kind];
    return reader === undefined ? complain(at, value, is) : reader(value, at);
  };
}

export function choice<const T extends string>(...choices: readonly T[]): Reader<T> {
  return (value, at) =>
    choices.find((one) => one === value) ??
    complain(at, value, `one of ${choices.map((one) => `"${one}"`).join(", ")}`);
}

export const yes: Reader<true> = (value, at) => (value === true ? true : complain(at, value, "true"));

export const flag: Reader<boolean> = (value, at) =>
  typeof value === "boolean" ? value : complain(at, value, "true or false");

export const text: Reader<string> = (value, at) =>
  typeof value === "string" && value !== "" ? value : complain(at, value, "a text");

export const anyText: Reader<string> = (value, at) =>
  typeof value === "string" ? value : complain(at, value, "a text");

export const finite: Reader<number> = (value, at) =>
  typeof value === "number" && Number.isFinite(value) ? value : complain(at, value, "a number");

/** A whole number from `min` to `max`, both inclusive. */
export function whole(min: number, max: number, is: string): Reader<number> {
  return (value, at) => (isWhole(value, min, max) ? value : complain(at, value, is));
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
}

export const integer = whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, "a whole number");

export const count = whole(1, Number.MAX_SAFE_INTEGER, "a whole number from 1");

export const seed = whole(0, 0xffffffff, "a seed, a whole number from 0 to 4294967295");

/** Bytes, as a number or as `512K`. */
export const size: Reader<number> = (value, at) => {
  const bytes = typeof value === "string" ? parseSize(value) : value;
  return isWhole(bytes, 0, Number.MAX_SAFE_INTEGER) ? bytes : complain(at, value, "a size, like 4096 or 512K");
};

/** Bytes, at least one. */
export const someBytes: Reader<number> = (value, at) => size(value, at) || complain(at, value, "a size of at least 1");

/** The longest wait that a timer of Node.js keeps. */
const LONGEST_WAIT = 2 ** 31 - 1;

/** Milliseconds, as a number or as `4s`. */
export const duration: Reader<number> = (value, at) => {
  const milliseconds = typeof value === "string" ? parseDuration(value) : value;
  return isWhole(milliseconds, 0, LONGEST_WAIT) ? milliseconds : complain(at, value, "a duration, like 500ms or 4s");
};

/** What `reader` reads, or null for a field that is to be left out. */
export function orNull<T>(reader: Reader<T>): Reader<T | null> {
  return (value, at) => (value === null ? null : reader(value, at));
}
