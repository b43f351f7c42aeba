import { type ChildProcess, spawn } from "node:child_process";
import { abortReason, AfterbayError } from "../../errors.ts";

export interface SandboxLimits {
  /** Milliseconds for one run, the start of the process among them. */
  readonly timeoutMs: number;
  /** Bytes of data, all kinds of memory together, where the system can hold a process to that (Linux). */
  readonly memoryBytes: number;
}

const LIMITS: SandboxLimits = { timeoutMs: 5000, memoryBytes: 384 * 1024 * 1024 };
/** An answer is two short strings. */
const MAX_OUTPUT_BYTES = 64 * 1024;

/**
 * What the child runs. The script gets a context of its own that holds the language and nothing else, where no code can be
 * made of strings; only a string comes back. Should the script get hold of an object of the outer realm all the same (an
 * error of the engine's, say), there is nothing left to reach from it, and the process itself may do nothing.
 */
const PROGRAM = `"use strict";
const vm = require("node:vm");
const write = process.stdout.write.bind(process.stdout);
const input = process.stdin;
const parts = [];
for (const name of Object.getOwnPropertyNames(globalThis)) {
  if (!/^(?:globalThis|undefined|NaN|Infinity|Object|Function|Array|Number|String|Symbol|Promise|Error|[A-Z]\\w*Error|Buffer|Map|Set|WeakMap|WeakSet|Math|JSON|Reflect|Proxy|Uint8Array|ArrayBuffer|queueMicrotask)$/.test(name)) delete globalThis[name];
}
input.on("data", (part) => parts.push(part));
input.on("end", () => {
  const source = Buffer.concat(parts).toString("utf8");
  delete globalThis.Buffer;
  const context = vm.createContext(Object.create(null), {
    codeGeneration: { strings: false, wasm: false },
    microtaskMode: "afterEvaluate",
  });
  let answer;
  try {
    answer = vm.runInContext(source, context, { filename: "player-script", displayErrors: false });
  } catch {
    answer = undefined;
  }
  if (typeof answer === "string" && answer.length <= ${MAX_OUTPUT_BYTES / 4}) write(answer);
});
`;

/**
 * Runs `body`, the body of a function in JavaScript that is not trusted, and answers what it returns, by way of JSON.
 *
 * It runs in a process of its own that ends with it: without environment, files, threads, child processes, a compiler or
 * WebAssembly, held to a time and (on Linux) to an amount of memory, by Node's permissions, V8's flags and the system's
 * limits. Rejects with `upstream-failed` where it throws, takes too long or too much, or returns nothing; with the signal's
 * reason when that aborts.
 */
export async function runIsolated(
  body: string,
  signal: AbortSignal,
  { timeoutMs, memoryBytes }: SandboxLimits = LIMITS,
): Promise<unknown> {
  if (signal.aborted) throw abortReason(signal);
  const limit = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([signal, limit]);
  const child = start(memoryBytes, Math.ceil(timeoutMs / 1000) + 1);
  const kill = (): void => void child.kill("SIGKILL");
  either.addEventListener("abort", kill, { once: true });
  try {
    const output = await answerOf(child, `JSON.stringify((function () {\n${body}\n}).call(undefined))`);
    if (signal.aborted) throw abortReason(signal);
    return parse(output);
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    if (limit.aborted) throw failed("takes too long");
    throw error;
  } finally {
    either.removeEventListener("abort", kill);
    kill();
  }
}

function start(memoryBytes: number, cpuSeconds: number): ChildProcess {
  const node = [process.execPath, ...flags(), "--eval", PROGRAM];
  // The heap's limit leaves out what arrays hold, and a process whose parent was killed lives on: the shell limits both.
  const limited = [
    "-c",
    `ulimit -c 0; ulimit -t ${cpuSeconds}; ulimit -d ${memoryBytes >> 10}; exec "$@"`,
    "sh",
    ...node,
  ];
  const [file = "", ...args] = process.platform === "win32" ? node : ["/bin/sh", ...limited];
  return spawn(file, args, { env: {}, cwd: "/", stdio: ["pipe", "pipe", "ignore"], windowsHide: true });
}

function flags(): string[] {
  const known = process.allowedNodeEnvironmentFlags;
  const permission = ["--permission", "--experimental-permission"].find((flag) => known.has(flag));
  return [
    ...(permission === undefined ? [] : [permission]),
    "--no-warnings",
    "--jitless",
    "--disallow-code-generation-from-strings",
    "--max-old-space-size=64",
    "--max-semi-space-size=4",
  ];
}

function answerOf(child: ChildProcess, source: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    child.stdout?.on("data", (part: Buffer) => {
      length += part.length;
      if (length > MAX_OUTPUT_BYTES) child.kill("SIGKILL");
      else parts.push(part);
    });
    child.once("error", () => reject(failed("cannot be started")));
    child.once("close", (code) => {
      if (code === 0 && length > 0 && length <= MAX_OUTPUT_BYTES) resolve(Buffer.concat(parts).toString("utf8"));
      else reject(failed("fails"));
    });
    // A child that has ended takes no more input; its end is told by "close".
    child.stdin?.on("error", () => {});
    child.stdin?.end(source);
  });
}

function parse(output: string): unknown {
  try {
    return JSON.parse(output) as unknown;
  } catch {
    throw failed("gives no answer");
  }
}

function failed(how: string): AfterbayError {
  return new AfterbayError(
    "upstream-failed",
    `YouTube's player script ${how}: update youtubei.js, or name clients first that need no script`,
  );
}
