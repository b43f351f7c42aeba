/** Behind these, a comma is part of what they take. */
const WHOLE = ["folder"];

/**
 * The specs of a chain, as they stand between commas. A comma separates only where the name of a kind follows, since
 * options and addresses hold commas too; a folder is never part of a chain.
 */
export function splitChain(text: string, kinds: readonly string[]): readonly string[] {
  if (WHOLE.some((kind) => text.startsWith(`${kind}:`))) return [text];
  const names = kinds.map((kind) => kind.replaceAll(/[^a-z]/g, "\\$&")).join("|");
  return text.split(new RegExp(`,(?=(?:${names})(?:[:?,]|$))`));
}
