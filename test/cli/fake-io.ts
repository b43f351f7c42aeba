import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import type { Io, Output } from "../../src/cli/io.ts";
import { run } from "../../src/cli/program.ts";
import type { CreateOwner, OwnerOptions } from "../../src/cli/create-owner.ts";
import type { CreateServer, Server, ServerOptions } from "../../src/cli/create-server.ts";

class Captured implements Output {
  text = "";
  readonly isTTY: boolean;
  readonly columns?: number;

  constructor(isTTY: boolean, columns?: number) {
    this.isTTY = isTTY;
    if (columns !== undefined) this.columns = columns;
  }

  write(text: string): void {
    this.text += text;
  }

  /** Without the last line's end. */
  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

export interface World {
  readonly argv: readonly string[];
  readonly env?: Record<string, string>;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly cwd?: string;
  readonly hasTerminal?: () => boolean;
  readonly createServer?: CreateServer;
  /** Without it, nobody can become the owner of a cache directory. */
  readonly createOwner?: CreateOwner;
}

/** Runs the program within this process, with a server that only keeps what it was given. */
export function start({
  argv,
  env = {},
  isTTY = false,
  columns,
  cwd = "/",
  hasTerminal = () => false,
  createServer,
  createOwner,
}: World) {
  const started: ServerOptions[] = [];
  const owned: OwnerOptions[] = [];
  const exits: number[] = [];
  const stdout = new Captured(isTTY, columns);
  const stderr = new Captured(isTTY, columns);
  const signals = new EventEmitter();
  const stdin = new PassThrough();
  const closed = { times: 0 };
  const sizes: number[] = [];
  const create: CreateServer = async (options) => {
    started.push(options);
    const server = await createServer?.(options);
    return (
      server ?? {
        url: `http://${options.host}:${options.port}`,
        setCacheSize: (bytes) => sizes.push(bytes),
        sampleUrl: async () => `http://${options.host}:${options.port}/stream/yaman`,
        close: async () => {
          closed.times++;
        },
      }
    );
  };
  const own: CreateOwner = async (options) => {
    owned.push(options);
    if (createOwner === undefined) throw new Error("nobody can own this directory");
    return await createOwner(options);
  };
  const exit = (status: number) => exits.push(status);
  const io: Io = {
    env,
    stdin,
    stdout,
    stderr,
    signals,
    exit,
    hasTerminal,
    createServer: create,
    createOwner: own,
    cwd,
  };
  const code = run(argv, io);
  return { code, started, owned, exits, stdout, stderr, signals, stdin, closed, sizes };
}

/** A server without tracks. */
export function emptyServer(close: () => Promise<void>): Server {
  return { url: "http://127.0.0.1:1", sampleUrl: async () => undefined, setCacheSize() {}, close };
}

/** Waits until `serve` has said that it is ready. */
export async function ready(program: ReturnType<typeof start>): Promise<void> {
  let ended = false;
  void program.code.finally(() => {
    ended = true;
  });
  while (program.stdout.text === "") {
    if (ended) throw new Error(`serve ended before it was ready: ${program.stderr.text}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What `serve` hands to the server. */
export async function serverOptions(argv: readonly string[], env: Record<string, string> = {}): Promise<ServerOptions> {
  const program = start({ argv: ["serve", ...argv], env });
  await ready(program);
  program.signals.emit("SIGTERM");
  await program.code;
  const [options] = program.started;
  if (options === undefined) throw new Error("no server was created");
  return options;
}
