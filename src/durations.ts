const units = [
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
] as const;

/** The longest wait that a timer of Node.js keeps; a longer one fires at once. */
const LONGEST = 2 ** 31 - 1;

/**
 * Milliseconds from `500ms`, `4s`, `2m`, `1.5h`, `1d`. Undefined for anything else (a number without a unit could mean
 * either), for less than a millisecond, and for more than a timer can wait (24.8 days).
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, amount = "", unit = ""] = match;
  const factor = units.find(([name]) => name === unit.toLowerCase())?.[1] ?? 1;
  const milliseconds = Math.round(Number(amount) * factor);
  return milliseconds >= 1 && milliseconds <= LONGEST ? milliseconds : undefined;
}
