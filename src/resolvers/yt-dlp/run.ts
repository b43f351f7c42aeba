import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { abortReason, AfterbayError } from "../../errors.ts";

export interface RunOptions {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** How a program ended, and what it said. */
export interface Ran {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  /** Its last words. */
  readonly stderr: string;
}

/** A video of YouTube's takes 0.5 MB, with all its formats and subtitles. */
const MAX_OUTPUT = 16 * 1024 * 1024;
const MAX_WORDS = 16 * 1024;

/**
 * Runs a program to its end, without a shell or an input. What it started with it ends with it when the signal aborts, the
 * time is over (`stalled`) or it says too much (`upstream-failed`). Rejects only after it is gone.
 */
export async function run(program: string, { args, env, timeoutMs, signal }: RunOptions): Promise<Ran> {
  if (signal.aborted) throw abortReason(signal);
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env,
    // A group of its own, to be ended as a whole: it may run others (a wrapper, a JavaScript runtime).
    detached: process.platform !== "win32",
    windowsHide: true,
  });
  let reason: Error | undefined;
  const end = (why: Error): void => {
    reason ??= why;
    kill(child);
  };
  const onAbort = (): void => end(abortReason(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => end(new AfterbayError("stalled", "yt-dlp did not answer in time")), timeoutMs);
  const stdout: Buffer[] = [];
  let length = 0;
  listen(child.stdout, (piece) => {
    length += piece.length;
    if (length > MAX_OUTPUT) end(new AfterbayError("upstream-failed", "yt-dlp's answer is too long"));
    else stdout.push(piece);
  });
  let stderr = "";
  listen(child.stderr, (piece) => {
    stderr = (stderr + piece.toString("latin1")).slice(-MAX_WORDS);
  });
  try {
    const code = await ended(child);
    if (reason !== undefined) throw reason;
    return { code, stdout: Buffer.concat(stdout).toString("utf8"), stderr };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

function listen(stream: Readable, take: (piece: Buffer) => void): void {
  stream.on("data", take).on("error", () => {});
}

/** Settles when it has ended and all it said was read. */
function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", ({ code }: NodeJS.ErrnoException) =>
      reject(new AfterbayError("upstream-failed", `yt-dlp cannot be started (${code ?? "unknown error"})`)),
    );
    child.once("close", resolve);
  });
}

function kill(child: ChildProcess): void {
  // A number that has been given back may be another's.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    child.stdout?.destroy();
    child.stderr?.destroy();
    return;
  }
  try {
    if (process.platform === "win32") child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // It is gone.
  }
}
