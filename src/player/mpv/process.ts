import { type ChildProcess, execFile, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { type Clock, sleep } from "../../data-source/clock.ts";
import { ConfigError } from "../../errors.ts";
import { mpvArguments, mpvEnvironment } from "./arguments.ts";
import { connectTo, MpvIpc } from "./ipc.ts";
import { socketPlace } from "./socket-place.ts";
import { isTooOld, type MpvVersion, OLDEST_MPV, parseMpvVersion } from "./version.ts";

export interface StartOptions {
  /** A name to be found in PATH, or a path. */
  readonly program: string;
  /** Put behind this driver's own arguments. */
  readonly args: readonly string[];
  readonly clock: Clock;
}

/** An mpv process that answers. */
export interface MpvProcess {
  readonly ipc: MpvIpc;
  readonly pid: number;
  /** Settles when it has ended: how, in words. */
  readonly ended: Promise<string>;
  /** Ends it at once, and whatever it was wrapped in. */
  kill(): void;
  /** Asks it to end, and sees to it that it does. */
  close(): Promise<void>;
}

/** How long mpv may take from its start to its first answer, ms. The first start ever looks at all fonts. */
const HELLO_MS = 15_000;
const CONNECT_PAUSE_MS = 5;
/** How long mpv may take to end when it is asked to, ms. */
const QUIT_MS = 1000;
const VERSION_MS = 3000;
/** What is kept of what it says before it answers, characters. */
const MAX_SAID = 2000;

/** It never answered. */
class NoHello extends Error {
  /** It ended by itself. */
  readonly hasEnded: boolean;

  constructor(message: string, hasEnded: boolean) {
    super(message);
    this.hasEnded = hasEnded;
  }
}

/** Starts mpv and waits for its first answer. Rejects with a ConfigError of one line where there is none to be had. */
export async function startMpv(options: StartOptions): Promise<MpvProcess> {
  try {
    return await launch(options, true);
  } catch (error) {
    if (!(error instanceof NoHello && error.hasEnded)) throw explained(options.program, error);
  }
  try {
    // A program that mpv is wrapped in may not hand on the handle that keeps it alive.
    return await launch(options, false);
  } catch (error) {
    const version = error instanceof NoHello && error.hasEnded ? await versionOf(options.program) : undefined;
    throw version !== undefined && isTooOld(version)
      ? tooOld(options.program, version)
      : explained(options.program, error);
  }
}

function explained(program: string, error: unknown): unknown {
  if (!(error instanceof NoHello)) return error;
  return new ConfigError(`"${program}" does not work as mpv: ${error.message}`, { cause: error });
}

const LIFELINE = 3;

async function launch({ program, args, clock }: StartOptions, withLifeline: boolean): Promise<MpvProcess> {
  const place = await socketPlace(process.env);
  const child = spawn(program, [...mpvArguments(place.path, withLifeline ? LIFELINE : undefined), ...args], {
    stdio: ["ignore", "pipe", "pipe", ...(withLifeline ? (["pipe"] as const) : [])],
    env: mpvEnvironment(process.env),
    // A group of its own: it can be ended with all that it is wrapped in, and Ctrl-C in a terminal is not for it.
    detached: process.platform !== "win32",
    windowsHide: true,
  });
  const lifeline = child.stdio[LIFELINE] as Socket | undefined;
  lifeline?.on("error", () => {}).resume();
  const said = listenTo(child);
  const ended = endOf(child);
  // Aborts what waits for it to answer; says why in words.
  const gone = new AbortController();
  const tidied = ended.then((how) => {
    gone.abort(new NoHello(lastLine(said.text) ?? how, true));
    lifeline?.destroy();
    return place.remove();
  });
  const kill = (): void => end(child, "SIGKILL");
  const cancelLimit = clock.after(HELLO_MS, () => {
    gone.abort(new NoHello("it does not answer", false));
    kill();
  });
  try {
    await spawned(child, program);
    const socket = await connected(place.path, clock, gone.signal);
    const ipc = new MpvIpc(socket, clock);
    const hello = await ipc.ask(["get_property", "mpv-version"], HELLO_MS);
    gone.signal.throwIfAborted();
    if (!hello.ok) throw new NoHello("it does not answer", false);
    assertNewEnough(program, String(hello.data));
    said.stop();
    void ended.then(() => ipc.close());
    // What it is wrapped in may live on without it.
    socket.once("close", () => void ended.then(clock.after(QUIT_MS, kill)));
    return { ipc, pid: child.pid ?? 0, ended, kill, close: () => close(ipc, child, tidied, clock) };
  } catch (error) {
    kill();
    await tidied;
    throw error;
  } finally {
    cancelLimit();
  }
}

/** Resolves once the process runs. */
function spawned(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error: NodeJS.ErrnoException) => reject(notStarted(program, error)));
  });
}

function notStarted(program: string, { code }: NodeJS.ErrnoException): ConfigError {
  if (code !== "ENOENT") return new ConfigError(`"${program}" cannot be started (${code ?? "unknown error"})`);
  const how = "apt install mpv (Debian, Ubuntu), brew install mpv (macOS), or see https://mpv.io/installation";
  return new ConfigError(`mpv is not installed ("${program}" was not found); install it: ${how}`);
}

function tooOld(program: string, version: MpvVersion): ConfigError {
  const oldest = `${OLDEST_MPV.major}.${OLDEST_MPV.minor}`;
  const found = `${version.major}.${version.minor}`;
  return new ConfigError(`"${program}" is mpv ${found}, which is too old: mpv ${oldest} or newer is needed`);
}

function assertNewEnough(program: string, text: string): void {
  const version = parseMpvVersion(text);
  if (version !== undefined && isTooOld(version)) throw tooOld(program, version);
}

async function connected(path: string, clock: Clock, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await connectTo(path);
    } catch {
      await sleep(clock, CONNECT_PAUSE_MS, signal);
    }
  }
}

/** What the process says until it is told to be ignored: an error of mpv's may hold the address of a track. */
function listenTo(child: ChildProcess): { readonly text: string; stop(): void } {
  let text = "";
  const take = (piece: Buffer): void => {
    text = (text + piece.toString()).slice(-MAX_SAID);
  };
  const streams = [child.stdout, child.stderr].filter((stream): stream is Readable => stream !== null);
  for (const stream of streams) stream.on("error", () => {}).on("data", take);
  return {
    get text() {
      return text;
    },
    stop() {
      text = "";
      for (const stream of streams) stream.off("data", take).resume();
    },
  };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", () => resolve("it could not be started"));
    child.once("exit", (code, signal) =>
      resolve(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`),
    );
  });
}

function end(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === "win32") child.kill(signal);
    // Also when it has ended itself: what it was wrapped around may be left.
    else process.kill(-child.pid, signal);
  } catch {
    // It is gone.
  }
}

async function close(ipc: MpvIpc, child: ChildProcess, tidied: Promise<void>, clock: Clock): Promise<void> {
  ipc.send(["quit"]);
  const cancel = clock.after(QUIT_MS, () => end(child, "SIGKILL"));
  await tidied;
  cancel();
  end(child, "SIGKILL");
}

/** What the program says of its version. Undefined: nothing that can be understood. */
function versionOf(program: string): Promise<MpvVersion | undefined> {
  return new Promise((resolve) => {
    execFile(program, ["--no-config", "--version"], { timeout: VERSION_MS, killSignal: "SIGKILL" }, (_, stdout) =>
      resolve(parseMpvVersion(stdout)),
    );
  });
}

function lastLine(text: string): string | undefined {
  const lines = text.split("\n").map((line) => line.replace(/\p{Cc}+/gu, " ").trim());
  return lines.findLast((line) => line !== "")?.slice(0, 200);
}
