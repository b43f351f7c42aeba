import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { QUALITIES, type Quality } from "../../data-source/quality.ts";

export interface YtDlpOptions {
  /** An absolute path. */
  readonly program: string;
  /** For requests that ask for none. */
  readonly quality: Quality;
}

const KEYS = ["path", "quality"];
const PROGRAM = process.platform === "win32" ? "yt-dlp.exe" : "yt-dlp";
const INSTALL = "install it: pipx install yt-dlp, or see https://github.com/yt-dlp/yt-dlp/wiki/Installation";

/**
 * Reads what stands behind `yt-dlp?`: `path=FILE&quality=high`, each at most once, and finds the program, without running
 * it. Throws an Error of one line, which says what to do where the program is missing.
 */
export function parseYtDlpOptions(query: string, env: NodeJS.ProcessEnv = process.env): YtDlpOptions {
  const given = new URLSearchParams(query);
  for (const key of new Set(given.keys())) {
    if (!KEYS.includes(key)) throw new Error(`it has no option ${JSON.stringify(key)}; there are ${KEYS.join(", ")}`);
    if (given.getAll(key).length > 1) throw new Error(`${key} is there twice`);
  }
  const quality = QUALITIES.find((known) => known === (given.get("quality") ?? "high"));
  if (quality === undefined) throw new Error(`quality is one of ${QUALITIES.join(", ")}`);
  const path = given.get("path");
  return { quality, program: path === null ? installed(env) : named(path) };
}

function named(path: string): string {
  const program = resolve(path);
  if (!isProgram(program)) throw new Error(`there is no program ${JSON.stringify(path)}; ${INSTALL}`);
  return program;
}

function installed(env: NodeJS.ProcessEnv): string {
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const found = folders.map((folder) => resolve(join(folder, PROGRAM))).find(isProgram);
  if (found === undefined) throw new Error(`yt-dlp is not installed; ${INSTALL}`);
  return found;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
