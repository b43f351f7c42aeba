import type { CatalogueTrack } from "./resolution.ts";

const MAX_LABEL = 300;
const MAX_ADDRESS = 1024;
const LABELS = ["title", "artist", "album", "contentType"] as const;
const AMOUNTS = ["durationMs", "size"] as const;

/**
 * What a source told of a track when it was asked for some, as far as it is what it should be: a source may be anyone's, and
 * repeat what anyone wrote. Undefined for what has no id.
 */
export function toldTrack(value: unknown): CatalogueTrack | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const told = value as Readonly<Record<string, unknown>>;
  const { id, artwork, loudnessDb } = told;
  if (typeof id !== "string" || id === "") return undefined;
  return {
    id,
    ...Object.fromEntries(LABELS.flatMap((name) => pair(name, labelOf(told[name])))),
    ...Object.fromEntries(AMOUNTS.flatMap((name) => pair(name, amountOf(told[name])))),
    ...(isAddress(artwork) && { artwork }),
    ...(typeof loudnessDb === "number" && Number.isFinite(loudnessDb) && { loudnessDb }),
  };
}

function pair<T>(name: string, value: T | undefined): readonly (readonly [string, T])[] {
  return value === undefined ? [] : [[name, value]];
}

/** In one line, and no longer than anyone reads. */
function labelOf(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const label = Array.from(value.slice(0, 2 * MAX_LABEL).replace(/[\p{Cc}\p{Cs}]+/gu, " "))
    .slice(0, MAX_LABEL)
    .join("")
    .trim();
  return label === "" ? undefined : label;
}

function amountOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : undefined;
}

/** Of http or https, without credentials. */
function isAddress(value: unknown): value is string {
  if (typeof value !== "string" || value.length > MAX_ADDRESS || !/^https?:\/\/[^\s\p{Cc}]+$/iu.test(value))
    return false;
  if (!URL.canParse(value)) return false;
  const { username, password } = new URL(value);
  return username === "" && password === "";
}
