/** A JSON object whose fields may be anything. */
export type Fields = Readonly<Record<string, unknown>>;

/** More is no answer of YouTube's. */
const MAX_NODES = 500_000;

/**
 * The objects that stand under one of `names` anywhere in a JSON value, in the order of the text, each with its name. What
 * is inside of one is not looked at, nor what stands under one of `without`. YouTube moves its pages around what they are
 * made of; these names last.
 */
export function* walk(
  root: unknown,
  names: readonly string[],
  without: readonly string[] = [],
): Generator<readonly [name: string, value: Fields]> {
  const open: unknown[] = [root];
  for (let nodes = 0; open.length > 0 && nodes < MAX_NODES; nodes += 1) {
    const value = open.pop();
    if (value instanceof Found) yield [value.name, value.fields];
    else if (Array.isArray(value)) {
      // Not as arguments of one push: there may be more than the stack holds.
      for (const inner of (value as unknown[]).toReversed()) open.push(inner);
    } else if (typeof value === "object" && value !== null) {
      // Not by recursion: nesting may be as deep as an answer is long.
      for (const [name, inner] of Object.entries(value).toReversed()) {
        if (without.includes(name)) continue;
        open.push(names.includes(name) ? new Found(name, fieldsOf(inner)) : (inner as unknown));
      }
    }
  }
}

class Found {
  readonly name: string;
  readonly fields: Fields;

  constructor(name: string, fields: Fields) {
    this.name = name;
    this.fields = fields;
  }
}

/** The first that {@link walk} finds. */
export function firstOf(root: unknown, ...names: readonly string[]): Fields | undefined {
  for (const [, value] of walk(root, names)) return value;
  return undefined;
}

/** What stands at the end of a path of names and indexes; undefined where that leads nowhere. */
export function at(root: unknown, ...path: readonly (string | number)[]): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

export function textAt(root: unknown, ...path: readonly (string | number)[]): string | undefined {
  const value = at(root, ...path);
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function listAt(root: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const value = at(root, ...path);
  return Array.isArray(value) ? value : [];
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
