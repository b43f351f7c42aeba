import type { TrackKey } from "../data-source/data-source.ts";
import { BLOCK, roundedUp } from "./blocks.ts";
import { asEntry, type IndexEntry, isCount, isTime } from "./index-entry.ts";

/** What a stored variant takes. */
export interface Usage {
  readonly stem: string;
  /** Source and id, as JSON. */
  readonly track: string;
  /** Bytes stored. */
  readonly bytes: number;
  /** Bytes that its files take on disk, as far as known. */
  readonly disk: number;
  readonly playedAt: number;
  readonly open: boolean;
}

/** The state of an entry whose variant is being written. */
export const OPEN = "open";
/** A row keeps its space in these units, bytes: small numbers take less memory than large ones. */
export const UNIT = 512;
const TAB = 0x09;
const ZERO = 0x30;

/** An entry in memory: as text until it is wanted, for most of 100,000 are not. */
export interface Row {
  readonly bytes: number;
  /** What its files take on disk. */
  units: number;
  readonly playedAt: number;
  readonly open: boolean;
  /** Its source and id, as JSON. */
  readonly key: string;
  /** Where the other fields are, as JSON, in the log as it was read. */
  restAt: number;
  restEnd: number;
  /** All fields, once they were written by this process. */
  readonly entry: IndexEntry | undefined;
}

/** `known`: the row that this one replaces. */
export function rowOf(entry: IndexEntry, known: Row | undefined): Row {
  const { bytes, playedAt, open = false } = entry;
  return {
    bytes,
    units: known?.bytes === bytes ? known.units : Math.max(known?.units ?? 0, leastUnits(bytes)),
    playedAt: Math.max(0, Math.round(playedAt)),
    open,
    key: keyOf(entry),
    restAt: 0,
    restEnd: 0,
    entry,
  };
}

export function usageOf(stem: string, { key, bytes, units, playedAt, open }: Row): Usage {
  return { stem, track: key, bytes, disk: units * UNIT, playedAt, open };
}

/** What files take that have `bytes` bytes in one stretch, and a map. */
function leastUnits(bytes: number): number {
  return bytes === 0 ? 0 : (roundedUp(bytes) + BLOCK) / UNIT;
}

/** The row that a line of the log describes, as far as it is needed before it is asked for; undefined if it is none. */
export function readRow(line: Buffer): Row | undefined {
  // What is cut from a string keeps all of it in memory, so the fields are taken from the bytes, and most are left there.
  const playedAt = line.indexOf(TAB, 35) + 1;
  const stateAt = line.indexOf(TAB, playedAt) + 1;
  const keyAt = line.indexOf(TAB, stateAt) + 1;
  const restAt = line.indexOf(TAB, keyAt) + 1;
  if (restAt <= keyAt || keyAt <= stateAt || stateAt <= playedAt) return undefined;
  const bytes = numberAt(line, 35);
  const row = {
    bytes,
    units: leastUnits(bytes),
    playedAt: numberAt(line, playedAt),
    open: line[stateAt] === OPEN.charCodeAt(0),
    key: line.toString("utf8", keyAt, restAt - 1),
    restAt: line.byteOffset + restAt,
    restEnd: line.byteOffset + line.length,
    entry: undefined,
  };
  return isCount(row.bytes) && isTime(row.playedAt) ? row : undefined;
}

/** The entry that a row describes; undefined if it is none. */
export function entryOf({ bytes, playedAt, open, key }: Row, rest: string): IndexEntry | undefined {
  try {
    const [source, id] = JSON.parse(key) as unknown[];
    const fields = JSON.parse(rest) as object;
    return asEntry({
      source,
      id,
      ...fields,
      bytes,
      playedAt,
      ...(open ? { open } : {}),
    } as object);
  } catch {
    return undefined;
  }
}

/** How rows name tracks. */
export function keyOf({ source, id }: TrackKey): string {
  return JSON.stringify([source, id]);
}

/** The whole number that begins at `at` and ends with a tab; NaN if there is none. */
function numberAt(line: Buffer, at: number): number {
  let value = line[at] === TAB ? Number.NaN : 0;
  for (let digit = line[at] ?? TAB; digit !== TAB; digit = line[(at += 1)] ?? TAB) {
    value = digit >= ZERO && digit <= ZERO + 9 ? value * 10 + digit - ZERO : Number.NaN;
  }
  return value;
}
