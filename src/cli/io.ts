import type { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import type { CreateOwner } from "./create-owner.ts";
import type { CreateServer } from "./create-server.ts";
import type { Environment } from "./settings.ts";

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** How many characters fit in a line of a terminal. */
  readonly columns?: number;
}

/** The world that a command sees. */
export interface Io {
  readonly env: Environment;
  readonly stdin: Readable;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Where signals arrive. */
  readonly signals: EventEmitter;
  /** Whether the process belongs to a terminal that is still there. */
  readonly hasTerminal: () => boolean;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  readonly createServer: CreateServer;
  readonly createOwner: CreateOwner;
  /** The directory that relative paths start at. */
  readonly cwd: string;
}
