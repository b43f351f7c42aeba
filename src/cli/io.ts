import type { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import type { Environment } from "./settings.ts";
import type { CreateServer } from "./create-server.ts";

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** The world that a command sees. */
export interface Io {
  readonly env: Environment;
  readonly stdin: Readable;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Where signals arrive. */
  readonly signals: EventEmitter;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  readonly createServer: CreateServer;
}
