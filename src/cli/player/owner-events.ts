import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { ask } from "../control/client.ts";
import type { RelayTarget } from "./relay.ts";

/** After a break it is tried again so often, ms. */
const RETRY_MS = 2000;

/**
 * Listens to the owner's `/api/events` until the signal aborts, across its restarts. `onEvent` gets each event's name and
 * data; `reset` says that some were missed, as when it is there again.
 */
export async function followEvents(
  target: RelayTarget,
  signal: AbortSignal,
  onEvent: (name: string, data: Readonly<Record<string, unknown>>) => void,
): Promise<void> {
  let known = false;
  const begin = (): void => {
    if (known) onEvent("reset", {});
    known = true;
  };
  while (!signal.aborted) {
    await listen(target.socketPath, signal, begin, onEvent).catch(() => {});
    await delay(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}

async function listen(
  socketPath: string,
  signal: AbortSignal,
  begin: () => void,
  onEvent: (name: string, data: Readonly<Record<string, unknown>>) => void,
): Promise<void> {
  const response = await ask(socketPath, { method: "GET", path: "/api/events", signal });
  begin();
  response.on("error", () => {});
  let name = "";
  for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.startsWith("event: ")) name = line.slice("event: ".length);
    else if (line.startsWith("data: ")) onEvent(name, fieldsOf(line.slice("data: ".length)));
  }
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
