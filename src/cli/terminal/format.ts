const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Bytes in three digits or so: `0 B`, `512 KiB`, `12.3 MiB`. */
export function formatSize(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  // Not 1024: "1023.9" would be shown as "1024".
  while (amount >= 1023.5 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 99.95 ? 0 : 1;
  return `${amount.toFixed(digits).replace(/\.0$/, "")} ${units[unit]}`;
}

/** Rounded down, so that 100 % is all of it; what is there is never 0 %. */
export function formatPercent(part: number, whole: number): string {
  if (part >= whole) return "100%";
  const percent = Math.floor((part / whole) * 100);
  return percent === 0 && part > 0 ? "<1%" : `${percent}%`;
}

/** Milliseconds as `3:05` or `1:02:03`. */
export function formatLength(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const spans = [
  ["y", 31_536_000],
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
] as const;

/** How long before `now` (epoch ms) an ISO 8601 time was: `just now`, `5 min ago`, `3 d ago`. */
export function formatAgo(iso: string, now: number): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (Number.isNaN(seconds)) return "";
  const [unit, length] = spans.find(([, each]) => seconds >= each) ?? [];
  return unit === undefined ? "just now" : `${Math.floor(seconds / length)} ${unit} ago`;
}

/** `1 track`, `2 tracks`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
