import type { At, Behaviour, Redirect } from "../upstream/behaviour.ts";
import type { Version } from "../upstream/bytes.ts";
import type { Conditions, Rule } from "../upstream/script.ts";
import { type RandomFaults, randomFaults } from "./random.ts";
import {
  anyText,
  byKind,
  choice,
  complain,
  count,
  duration,
  integer,
  list,
  map,
  needed,
  object,
  orNull,
  type Reader,
  size,
  someBytes,
  text,
  whole,
  yes,
} from "./reader.ts";

/** What goes wrong with a track, or with all of them. */
export interface Faults {
  readonly rules: readonly Rule[];
  readonly random?: RandomFaults;
}

export const version: Reader<Version> = byKind<Version>("a version, a number or a text", {
  number: integer,
  string: text,
});

/** RFC 9110, sections 5.6.2 and 5.5: what cannot be sent as a header is no fault but a mistake. */
const headerName: Reader<string> = (value, at) =>
  typeof value === "string" && /^[!#$%&'*+.^_`|~\w-]+$/.test(value) ? value : complain(at, value, "a header's name");

export const headerValue: Reader<string> = (value, at) =>
  typeof value === "string" && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    ? value
    : complain(at, value, "a header's value");

export function headers<T>(reader: Reader<T>): Reader<Readonly<Record<string, T>>> {
  const read = map(reader, headerName);
  return (value, at) => Object.fromEntries(read(value, at));
}

export const status = whole(200, 599, "an HTTP status from 200 to 599");

const PLACE_IS = 'a place: "headers", a number of bytes, or {"offset": SIZE}';

const place: Reader<At> = byKind<At>(PLACE_IS, {
  number: size,
  string: (value, at) => (value === "headers" ? "headers" : size(value, at)),
  object: (value, at) => ({ offset: needed(object({ offset: size })(value, at).offset, at, "offset") }),
});

const redirect: Reader<Redirect> = object({
  status: whole(300, 399, "a status from 300 to 399"),
  to: text,
  chain: whole(1, 100, "a whole number from 1 to 100"),
  loop: yes,
});

const wall: Reader<NonNullable<Behaviour["wall"]>> = byKind<NonNullable<Behaviour["wall"]>>(
  'a size, or {"at": SIZE, "crossing": "short" or "refuse", "status": 403}',
  {
    number: size,
    string: size,
    object: (value, at) => {
      const read = object({ at: size, crossing: choice("short", "refuse"), status })(value, at);
      return { ...read, at: needed(read.at, at, "at") };
    },
  },
);

type Label = NonNullable<Behaviour["contentRange"]>;

const contentRange: Reader<Label> = byKind<Label>(
  '"missing", "asked", {"as": TEXT}, or {"shift": BYTES, "total": SIZE or "*"}',
  {
    string: choice("missing", "asked"),
    object: (value, at) => {
      const { as, ...rest } = object({ as: headerValue, shift: integer, total: numberOrStar })(value, at);
      if (as === undefined) return rest;
      return Object.keys(rest).length === 0 ? { as } : complain(at, value, '{"as": TEXT} alone');
    },
  },
);

const numberOrStar: Reader<number | "*"> = byKind<number | "*">('a size or "*"', {
  number: size,
  string: (value, at) => (value === "*" ? "*" : size(value, at)),
});

const page: Reader<NonNullable<Behaviour["page"]>> = byKind<NonNullable<Behaviour["page"]>>(
  '"html", "json", or {"contentType": TYPE, "text": TEXT}',
  {
    string: choice("html", "json"),
    object: (value, at) => {
      const read = object({ contentType: headerValue, text: anyText })(value, at);
      return { contentType: needed(read.contentType, at, "contentType"), text: needed(read.text, at, "text") };
    },
  },
);

const surplus: Reader<NonNullable<Behaviour["surplus"]>> = byKind<NonNullable<Behaviour["surplus"]>>(
  'a size, or {"bytes": SIZE, "counted": "length", "range" or "raw"}',
  {
    number: size,
    string: size,
    object: (value, at) => {
      const read = object({ bytes: size, counted: choice("length", "range", "raw") })(value, at);
      return { bytes: needed(read.bytes, at, "bytes"), counted: needed(read.counted, at, "counted") };
    },
  },
);

const contentLength: Reader<NonNullable<Behaviour["contentLength"]>> = byKind<NonNullable<Behaviour["contentLength"]>>(
  '"close", "chunked", {"add": BYTES} or {"as": SIZE}',
  {
    string: choice("close", "chunked"),
    object: (value, at) => {
      const { add, as } = object({ add: integer, as: size })(value, at);
      if (add !== undefined && as === undefined) return { add };
      return as !== undefined && add === undefined ? { as } : complain(at, value, '{"add": BYTES} or {"as": SIZE}');
    },
  },
);

const vary: Reader<NonNullable<Behaviour["vary"]>> = byKind<NonNullable<Behaviour["vary"]>>(
  'true, or {"from": SIZE, "to": SIZE}',
  {
    boolean: yes,
    object: (value, at) => {
      const read = object({ from: size, to: size })(value, at);
      return { from: needed(read.from, at, "from"), to: needed(read.to, at, "to") };
    },
  },
);

const pause: Reader<NonNullable<Behaviour["pause"]>> = (value, at) => {
  const read = object({ at: place, for: duration })(value, at);
  return { at: needed(read.at, at, "at"), ms: needed(read.for, at, "for") };
};

const trickle: Reader<NonNullable<Behaviour["trickle"]>> = (value, at) => {
  const read = object({ at: place, rate: someBytes })(value, at);
  return { at: needed(read.at, at, "at"), rate: needed(read.rate, at, "rate") };
};

/** A fault's `do`. Each key is a field of {@link Behaviour}. */
const behaviour: Reader<Behaviour> = object({
  latency: duration,
  version,
  size,
  status,
  retryAfter: byKind<string | number>("seconds, or a date as HTTP writes it", {
    number: whole(0, Number.MAX_SAFE_INTEGER, "a whole number of seconds"),
    string: headerValue,
  }),
  page,
  redirect,
  rangeLimit: size,
  wall,
  unsatisfiable: byKind<NonNullable<Behaviour["unsatisfiable"]>>('true, "bare" or a size', {
    boolean: yes,
    number: size,
    string: (value, at) => (value === "bare" ? "bare" : size(value, at)),
  }),
  headers: headers(orNull(headerValue)),
  ignoreRange: yes,
  shiftRange: integer,
  contentRange,
  multipart: yes,
  truncate: size,
  surplus,
  encode: choice("gzip", "br", "deflate"),
  contentLength,
  vary,
  reset: place,
  close: place,
  stall: place,
  pause,
  trickle,
  pace: someBytes,
});

/** A number that counts from 1, or a stretch of numbers. */
export const counted = byKind<number | { readonly from?: number; readonly to?: number }>(
  'a whole number from 1, or {"from": N, "to": N}',
  { number: count, object: object({ from: count, to: count }) },
);

const conditions: Reader<Conditions> = object({
  request: counted,
  method: choice("GET", "HEAD"),
  range: choice("none", "bounded", "open", "suffix"),
  rangeOver: size,
  startFrom: size,
  startBelow: size,
  covers: size,
});

const rule: Reader<Rule> = (value, at) => {
  const read = object({ when: conditions, times: count, do: behaviour })(value, at);
  return { ...read, do: needed(read.do, at, "do") };
};

/** A list of rules, or an object where random faults are wanted, too. */
export const faults: Reader<Faults> = byKind<Faults>('a list of rules, or {"rules": [...], "random": {...}}', {
  list: (value, at) => ({ rules: list(rule)(value, at) }),
  object: (value, at) => {
    const { rules = [], random } = object({ rules: list(rule), random: randomFaults })(value, at);
    return { rules, ...(random && { random }) };
  },
});
