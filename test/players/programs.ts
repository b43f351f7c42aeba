import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { describe } from "vitest";

/** A suite that needs programs; skipped, by name, where one of them is not installed. */
export function describeWith(programs: readonly string[], title: string, body: () => void): void {
  const missing = programs.filter((program) => pathOf(program) === undefined);
  const name = missing.length === 0 ? title : `${title} (${missing.join(" and ")} not installed)`;
  describe.skipIf(missing.length > 0)(name, body);
}

/** Where a program is, if it is installed. */
export function pathOf(program: string): string | undefined {
  const paths = (process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, program));
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface Outcome {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a program to its end, with 15 s to get there. */
export function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { encoding: "buffer", timeout: 15_000, killSignal: "SIGKILL", maxBuffer: 64 * 1024 ** 2 } as const;
    execFile(program, args, { ...options, env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr: stderr.toString() });
    });
  });
}

/** As {@link run}; throws with what the program said if it fails. */
export async function succeed(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Buffer> {
  const { code, stdout, stderr } = await run(program, args, env);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${stderr.slice(-2000)}`);
  return stdout;
}

export const SECONDS = 24;

/** How each kind of file is made, and what a server calls it. MP4 has its index at the end, as phones record it. */
const KINDS = {
  opus: { file: "song.webm", type: "audio/webm", codec: ["-c:a", "libopus", "-b:a", "256k"] },
  aac: { file: "song.m4a", type: "audio/mp4", codec: ["-c:a", "aac", "-b:a", "256k"] },
  flac: { file: "song.flac", type: "audio/flac", codec: ["-c:a", "flac"] },
  mp3: { file: "song.mp3", type: "audio/mpeg", codec: ["-c:a", "libmp3lame", "-b:a", "320k"] },
} as const;

export type Kind = keyof typeof KINDS;
export const kinds = Object.keys(KINDS) as Kind[];

export interface Audio {
  readonly content: Buffer;
  readonly contentType: string;
}

/** Two voices that glide, and some noise, so that no second sounds, or packs, like another. */
const voice = (low: number, glide: number, seed: number): string =>
  `0.2*sin(2*PI*t*(${low}+${glide}*t))+0.1*(random(${seed})-0.5)`;
const SIGNAL = `aevalsrc=${voice(200, 30, 0)}|${voice(300, 20, 1)}:s=48000:d=${SECONDS}`;

/** Encodes the signal as each of `which`, into `directory`. */
export async function encode(directory: string, which: readonly Kind[] = kinds): Promise<Record<Kind, Audio>> {
  const source = join(directory, "signal.wav");
  await succeed("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", SIGNAL, "-y", source]);
  const made = await Promise.all(
    which.map(async (kind) => {
      const { file, type, codec } = KINDS[kind];
      const path = join(directory, file);
      await succeed("ffmpeg", ["-v", "error", "-i", source, ...codec, "-y", path]);
      return [kind, { content: await readFile(path), contentType: type }] as const;
    }),
  );
  return Object.fromEntries(made) as Record<Kind, Audio>;
}
