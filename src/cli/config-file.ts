import { readFile } from "node:fs/promises";
import { Failure, reason } from "./problems.ts";
import type { ConfigFile } from "./settings.ts";

/**
 * Reads a config file: a JSON object whose keys are flag names, in kebab-case or camelCase. `known` names the flags
 * that a file may set. Values are judged where they are used.
 */
export async function readConfigFile(path: string, known: readonly string[]): Promise<ConfigFile> {
  const content = object(parse(await read(path), path), path);
  const values = new Map<string, unknown>();
  for (const [key, value] of Object.entries(content)) {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (!known.includes(name)) throw new Failure(`${path}: "${key}" is not a setting; known are ${known.join(", ")}.`);
    if (values.has(name)) throw new Failure(`${path}: "${key}" is there twice.`);
    values.set(name, value);
  }
  return { path, values };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Failure(`cannot read the config file ${path}: ${reason(error)}.`);
  }
}

function parse(text: string, path: string): unknown {
  try {
    // Editors on Windows put a byte order mark in front, which is no JSON.
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new Failure(`${path} is not JSON: ${place(text, error)}.`);
  }
}

/** Where it is wrong; not what is there, as `JSON.parse` would quote it: it may be a token. */
function place(text: string, error: unknown): string {
  const offset = /at position (\d+)/.exec(reason(error))?.[1];
  if (offset === undefined) return "it ends too early, or has something at its end";
  const before = text.slice(0, Number(offset)).split("\n");
  return `see line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

function object(value: unknown, path: string): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new Failure(`${path} must hold one JSON object, like {"port": 9000}.`);
}
