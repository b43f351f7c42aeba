import { closeSync, openSync } from "node:fs";

/** Whether this process belongs to a terminal that is still there. False where the system has no such thing. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
