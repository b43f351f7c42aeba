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
  /** Lines of a terminal. */
  readonly rows?: number;
  /** Tells of a terminal whose size has changed, and of one that can be written to again. */
  on?(event: "resize" | "drain", listener: () => void): unknown;
  off?(event: "resize" | "drain", listener: () => void): unknown;
}

/** What a person types, where it comes from a terminal. */
export interface Input extends Readable {
  readonly isTTY?: boolean;
  /** Each key as it is pressed, and none of them a signal. */
  setRawMode?(raw: boolean): unknown;
}

/** The world that a command sees. */
export interface Io {
  readonly env: Environment;
  readonly stdin: Input;
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
