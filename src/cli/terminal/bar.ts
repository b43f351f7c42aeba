const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"] as const;

/** A bar of `width` columns, filled to `fraction` (0 to 1). */
export function bar(fraction: number, width: number, unicode: boolean): string {
  const filled = Math.min(1, Math.max(0, fraction)) * width;
  if (!unicode) return "#".repeat(Math.floor(filled)).padEnd(width, ".");
  const eighth = EIGHTHS[Math.floor((filled % 1) * EIGHTHS.length)] ?? "";
  return `${"█".repeat(Math.floor(filled))}${eighth}`.padEnd(width);
}
