const units = [
  ["K", 1024],
  ["M", 1024 ** 2],
  ["G", 1024 ** 3],
  ["T", 1024 ** 4],
] as const;

/**
 * Bytes from `512K`, `200M`, `1.5G`, or a plain number of bytes. Units are binary multiples, in either case.
 * Undefined for anything else, for zero, and above 2^53.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, amount = "", unit = ""] = match;
  if (unit === "" && amount.includes(".")) return undefined;
  const factor = units.find(([name]) => name === unit.toUpperCase())?.[1] ?? 1;
  const bytes = Math.round(Number(amount) * factor);
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined;
}
