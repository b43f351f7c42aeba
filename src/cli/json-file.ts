import { readFile } from "node:fs/promises";
import { reason } from "./problems.ts";

/** A JSON value out of a file. `name` says what kind of file it is. Throws a `Problem` with one line. */
export async function readJsonFile(path: string, name: string, Problem: new (line: string) => Error): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new Problem(`cannot read ${name} ${path}: ${reason(error)}.`);
  }
  try {
    // Editors on Windows put a byte order mark in front, which is no JSON.
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new Problem(`${path} is not JSON: ${place(text, error)}.`);
  }
}

/** Where it is wrong; not what is there, as `JSON.parse` would quote it: it may be a token. */
function place(text: string, error: unknown): string {
  const offset = /at position (\d+)/.exec(reason(error))?.[1];
  if (offset === undefined) return "it ends too early, or has something at its end";
  const before = text.slice(0, Number(offset)).split("\n");
  return `see line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}
