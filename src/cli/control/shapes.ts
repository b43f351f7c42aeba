/** Reads a value of unknown origin as a T. Throws a {@link Misfit} where it is none. */
export type Shape<T> = (value: unknown) => T;

/** An answer that is not of the shape that was asked for. */
export class Misfit extends Error {}

export const text = primitive<string>("string");
export const number = primitive<number>("number");
export const flag = primitive<boolean>("boolean");

function primitive<T extends string | number | boolean>(type: "string" | "number" | "boolean"): Shape<T> {
  return (value) => {
    if (typeof value !== type) throw new Misfit(`not a ${type}`);
    return value as T;
  };
}

export function choice<const T extends string>(...choices: readonly T[]): Shape<T> {
  return (value) => {
    const found = choices.find((one) => one === value);
    if (found === undefined) throw new Misfit(`not one of ${choices.join(", ")}`);
    return found;
  };
}

/** Undefined where it is absent or null. */
export function maybe<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value) => (value === undefined || value === null ? undefined : shape(value));
}

export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw new Misfit("not a list");
    return value.map((item: unknown) => shape(item));
  };
}

/** An object whose keys are not known. */
export function record<T>(shape: Shape<T>): Shape<ReadonlyMap<string, T>> {
  return (value) =>
    new Map(Object.entries(fields(value)).map(([name, item]: [string, unknown]) => [name, shape(item)]));
}

type Read<S extends Record<string, Shape<unknown>>> = { readonly [K in keyof S]: ReturnType<S[K]> };

/** An object with at least these fields; others pass as they are, so that JSON can be shown as it came. */
export function object<S extends Record<string, Shape<unknown>>>(shapes: S): Shape<Read<S>> {
  return (value) => {
    const all = fields(value);
    const read = Object.entries(shapes).map(([name, shape]): [string, unknown] => {
      try {
        return [name, shape(Reflect.get(all, name))];
      } catch (error) {
        throw error instanceof Misfit ? new Misfit(`"${name}" is ${error.message}`) : error;
      }
    });
    return { ...all, ...Object.fromEntries(read) } as Read<S>;
  };
}

function fields(value: unknown): object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Misfit("not an object");
  return value;
}
