import type { Behaviour } from "./behaviour.ts";
import type { RangeAsked } from "./range.ts";

/** A request as rules see it. */
export interface Asked {
  readonly resource: string;
  /** Counts from 1, over the requests that this script has seen since it was set. */
  readonly index: number;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The Range header, where it holds one single, valid range. */
  readonly range?: RangeAsked;
  /** The bytes wanted: the whole resource without a range. `end` is exclusive, Infinity where the size is unknown. */
  readonly start: number;
  readonly end: number;
}

/** All that are given must hold. Sizes and offsets are in bytes. */
export interface Conditions {
  /** The request's index, from 1, or an inclusive range of it. */
  readonly request?: number | { readonly from?: number; readonly to?: number };
  readonly method?: string;
  readonly range?: "none" | RangeAsked["kind"];
  /** More bytes than this are wanted; no range and open ranges count as far as they reach. */
  readonly rangeOver?: number;
  /** The first byte wanted is at this offset or later. */
  readonly startFrom?: number;
  /** The first byte wanted is before this offset. */
  readonly startBelow?: number;
  /** This offset is among the bytes wanted. */
  readonly covers?: number;
}

export interface Rule {
  readonly when?: Conditions | ((asked: Asked) => boolean);
  /** Holds for this many matching requests, then never again. */
  readonly times?: number;
  /** A function answers undefined where it asks for nothing; that counts as a match. */
  readonly do: Behaviour | ((asked: Asked) => Behaviour | undefined);
}

/** The rules of one resource, or of all. Every matching rule adds to the behaviour; the earlier rule wins a field. */
export class Script {
  readonly #rules: { readonly rule: Rule; left: number }[];
  #seen = 0;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules.map((rule) => ({ rule, left: rule.times ?? Infinity }));
  }

  behaviour(request: Omit<Asked, "index">): Behaviour {
    const asked = { ...request, index: ++this.#seen };
    let behaviour: Behaviour = {};
    for (const entry of this.#rules) {
      if (entry.left <= 0 || !matches(entry.rule.when, asked)) continue;
      entry.left--;
      const { do: wanted } = entry.rule;
      behaviour = merge(behaviour, (typeof wanted === "function" ? wanted(asked) : wanted) ?? {});
    }
    return behaviour;
  }
}

/** `first` wins where both speak; headers are merged one by one. */
export function merge(first: Behaviour, second: Behaviour): Behaviour {
  const headers = { ...second.headers, ...first.headers };
  return { ...second, ...first, ...(Object.keys(headers).length > 0 && { headers }) };
}

function matches(when: Rule["when"], asked: Asked): boolean {
  if (when === undefined) return true;
  if (typeof when === "function") return when(asked);
  const { request, method, range, rangeOver, startFrom, startBelow, covers } = when;
  const { from = 1, to = Infinity } = typeof request === "number" ? { from: request, to: request } : (request ?? {});
  return (
    asked.index >= from &&
    asked.index <= to &&
    (method === undefined || method === asked.method) &&
    (range === undefined || range === (asked.range?.kind ?? "none")) &&
    (rangeOver === undefined || asked.end - asked.start > rangeOver) &&
    (startFrom === undefined || asked.start >= startFrom) &&
    (startBelow === undefined || asked.start < startBelow) &&
    (covers === undefined || (asked.start <= covers && covers < asked.end))
  );
}
