import { Problem } from "./control/client.ts";
import type { Io } from "./io.ts";
import { Failure, oneLine, Reported } from "./problems.ts";
import { plain } from "./terminal/width.ts";

/** What went wrong with one of several things, as `--json` shows it. */
export interface Complaint {
  readonly name: string;
  readonly code: string;
  readonly detail: string;
}

/** Where one of several fails, the others go on: a line each on stderr at once, and a failure in the end. */
export class Complaints {
  readonly #io: Io;
  readonly all: Complaint[] = [];

  constructor(io: Io) {
    this.#io = io;
  }

  /** True if it went well. Only what the owner refused is a complaint; other errors end the command. */
  async guard(name: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.add(name, error.code, error.message);
      return false;
    }
  }

  add(name: string, code: string, detail: string): void {
    this.all.push({ name, code, detail });
    this.#io.stderr.write(
      `afterbay: ${plain(name)}: ${plain(oneLine(detail))}${detail === code ? "" : ` (${code})`}\n`,
    );
  }

  /** Throws if there was any. */
  end(): void {
    if (this.all.length > 0) throw new Reported(`${this.all.length} failed`);
  }
}

/** Makes a refusal a failure that names what was refused. */
export async function naming<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Failure(`${plain(name)}: ${plain(error.message)} (${error.code})`, { cause: error });
  }
}
