/** A name out of a path. What is not percent-encoded UTF-8 is taken as it is, and names nothing. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
