import { readJsonFile } from "./json-file.ts";
import { Failure } from "./problems.ts";
import type { ConfigFile } from "./settings.ts";

/**
 * Reads a config file: a JSON object whose keys are flag names, in kebab-case or camelCase. `known` names the flags
 * that a file may set. Values are judged where they are used.
 */
export async function readConfigFile(path: string, known: readonly string[]): Promise<ConfigFile> {
  const content = object(await readJsonFile(path, "the config file", Failure), path);
  const values = new Map<string, unknown>();
  for (const [key, value] of Object.entries(content)) {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (!known.includes(name)) throw new Failure(`${path}: "${key}" is not a setting; known are ${known.join(", ")}.`);
    if (values.has(name)) throw new Failure(`${path}: "${key}" is there twice.`);
    values.set(name, value);
  }
  return { path, values };
}

function object(value: unknown, path: string): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new Failure(`${path} must hold one JSON object, like {"port": 9000}.`);
}
