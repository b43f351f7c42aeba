import type { Flag } from "./flags.ts";
import { Failure, UsageError } from "./problems.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A config file's content, keyed by flag name. */
export interface ConfigFile {
  readonly path: string;
  readonly values: ReadonlyMap<string, unknown>;
}

/** Where settings come from, the strongest first. */
export interface Sources {
  /** What the command line gives for a flag, by its name: every value, in order. */
  readonly given: (name: string) => readonly string[];
  readonly env: Environment;
  readonly file?: ConfigFile;
}

/** The value of `flag`: from the command line, else the environment, else the config file, else its default. */
export function setting<T>(flag: Flag<T>, { given, env, file }: Sources): T {
  const texts = given(flag.name);
  if (texts.length > 0) return parsed(flag, texts, `--${flag.name}`, UsageError);

  const variable = `AFTERBAY_${flag.name.toUpperCase().replaceAll("-", "_")}`;
  const inherited = env[variable] ?? "";
  if (inherited !== "") return parsed(flag, flag.many ? split(inherited) : [inherited], variable, UsageError);

  const value = file?.values.get(flag.name);
  if (file === undefined || value === undefined) return flag.fallback;
  return parsed(flag, fromJson(flag, value, file.path), `${file.path}: "${flag.name}"`, Failure);
}

/** Several values are a line each, so that paths may hold spaces, or words where there is one line. */
function split(value: string): string[] {
  const parts = value.includes("\n") ? value.split("\n") : value.split(/\s/);
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

function parsed<T>(flag: Flag<T>, texts: readonly string[], where: string, Problem: new (line: string) => Error): T {
  const value = flag.parse(texts);
  if (value !== undefined) return value;
  const wrong = texts.find((text) => flag.parse([text]) === undefined) ?? "";
  throw new Problem(`${where}: ${JSON.stringify(wrong)} is not ${flag.is}.`);
}

function fromJson(flag: Flag<unknown>, value: unknown, path: string): string[] {
  const type = Array.isArray(value) ? "list" : typeof value;
  const texts: unknown[] = Array.isArray(value) ? value : [value];
  const known = flag.json.some((accepted) => accepted === type);
  if (known && (type !== "list" || texts.every((text) => typeof text === "string"))) return texts.map(String);
  const accepted = flag.json.map((name) => (name === "list" ? "a list of strings" : `a ${name}`));
  throw new Failure(`${path}: "${flag.name}" must be ${accepted.join(" or ")}.`);
}
