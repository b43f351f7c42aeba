/** The items by chance, each order as likely as any (Fisher and Yates). `random` is in [0, 1). */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = Math.min(last, Math.floor(random() * (last + 1)));
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}

/** Both lists as one by chance; the items of each keep their order. */
export function riffled<T>(one: readonly T[], other: readonly T[], random: () => number): T[] {
  const result: T[] = [];
  for (let a = 0, b = 0; a < one.length || b < other.length; ) {
    const [left, right] = [one.length - a, other.length - b];
    // As likely as the share that is left, so that the last place is as good as the first.
    if (right === 0 || (left > 0 && random() * (left + right) < left)) result.push(one[a++] as T);
    else result.push(other[b++] as T);
  }
  return result;
}
