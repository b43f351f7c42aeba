import { parseAllowedHost, parseAllowedOrigin } from "../http/doors.ts";
import { parseDuration } from "../durations.ts";
import { parseSize } from "../sizes.ts";

type JsonType = "string" | "number" | "boolean" | "list";

/** How one kind of value is written. `parse` answers undefined for what it cannot read. */
interface Kind<T> {
  /** Completes "… is not" for a value that was refused. */
  readonly is: string;
  /** How a config file may write it; text is always read as on the command line. */
  readonly json: readonly JsonType[];
  parse(text: string): T | undefined;
}

/** A flag, which is also an environment variable and a key of the config file. */
export interface Flag<T> {
  /** Without dashes in front, as in `cache-size`. */
  readonly name: string;
  /** One letter that may stand for it on the command line. */
  readonly short?: string;
  /** How help names its value. Absent: a switch. */
  readonly argument?: string;
  readonly help: string;
  readonly many: boolean;
  readonly is: string;
  readonly json: readonly JsonType[];
  readonly fallback: T;
  /** Reads all the texts given for it. Undefined: at least one cannot be read. */
  parse(texts: readonly string[]): T | undefined;
}

type Words = Pick<Flag<unknown>, "name" | "short" | "argument" | "help">;

/** A flag with one value; of several on one command line the last stands. */
export function one<T, F extends T | undefined>(kind: Kind<T>, words: Words, fallback: F): Flag<T | F> {
  return { ...kind, ...words, many: false, fallback, parse: (texts) => kind.parse(texts.at(-1) ?? "") };
}

/** A flag that may be repeated. */
export function several<T>(kind: Kind<T>, words: Words, fallback: readonly T[]): Flag<readonly T[]> {
  const parse = (texts: readonly string[]) => {
    const values = texts.map((text) => kind.parse(text)).filter((value) => value !== undefined);
    return values.length === texts.length ? values : undefined;
  };
  return { ...kind, ...words, json: [...kind.json, "list"], many: true, fallback, parse };
}

/** A flag without a value. */
export function toggle(words: Words): Flag<boolean> {
  return one(yesOrNo, words, false);
}

const yesOrNo: Kind<boolean> = {
  is: "true or false",
  json: ["boolean"],
  parse(text) {
    if (/^(1|true|yes|on)$/i.test(text)) return true;
    return /^(0|false|no|off)$/i.test(text) ? false : undefined;
  },
};

export const text: Kind<string> = {
  is: "a text with something in it",
  json: ["string"],
  parse: (written) => (written.trim() === "" ? undefined : written),
};

/** What the server's doors would throw for is refused here, before anything is started. */
function accepted(is: string, read: (text: string) => string): Kind<string> {
  const parse = (written: string) => {
    try {
      return read(written);
    } catch {
      return undefined;
    }
  };
  return { is, json: ["string"], parse };
}

export const allowedHost = accepted("a host, like music.local or music.local:8085", parseAllowedHost);

export const allowedOrigin = accepted("an origin, like http://localhost:3000", parseAllowedOrigin);

/** Brackets around an IPv6 address are for URLs. */
export const address: Kind<string> = {
  is: "a host name or an address",
  json: ["string"],
  parse: (written) => /^\[?([^\s/@[\]]+)\]?$/.exec(written)?.[1],
};

export const port: Kind<number> = {
  is: "a port, a number from 0 to 65535",
  json: ["number"],
  parse: (digits) => (/^\d{1,5}$/.test(digits) && Number(digits) <= 65_535 ? Number(digits) : undefined),
};

export const size: Kind<number> = {
  is: "a size, like 512K, 200M or 2G",
  json: ["string", "number"],
  parse: parseSize,
};

export const duration: Kind<number> = {
  is: "a duration, like 500ms, 4s or 2m",
  json: ["string"],
  parse: parseDuration,
};

/** A whole number from `least` to `most`. */
export function wholeNumber(least: number, most: number): Kind<number> {
  return {
    is: `a whole number from ${least} to ${most}`,
    json: ["number"],
    parse(digits) {
      const value = /^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN;
      return value >= least && value <= most ? value : undefined;
    },
  };
}

export function choice<const T extends string>(...choices: readonly T[]): Kind<T> {
  return {
    is: `one of ${choices.join(", ")}`,
    json: ["string"],
    parse: (word) => choices.find((allowed) => allowed === word),
  };
}
