import type { Clock } from "../../data-source/clock.ts";
import type { MpvIpc } from "./ipc.ts";

const PING_EVERY_MS = 2000;
const PING_LIMIT_MS = 4000;
/** Later than this, it is this process that was held up, ms. */
const OWN_LATENESS_MS = 1000;

/** Asks mpv again and again whether it is there, and calls `onHang` once it has not answered for too long. */
export function watch(ipc: MpvIpc, clock: Clock, onHang: () => void): () => void {
  let stopped = false;
  let cancel = (): void => {};
  const ping = (): void => {
    const asked = clock.now();
    // Needs mpv's core, not only the thread that reads the socket.
    void ipc.ask(["get_property", "idle-active"], PING_LIMIT_MS).then((reply) => {
      if (stopped) return;
      const answered = reply.ok || reply.error !== "timeout";
      if (answered || clock.now() - asked > PING_LIMIT_MS + OWN_LATENESS_MS) cancel = clock.after(PING_EVERY_MS, ping);
      else onHang();
    });
  };
  cancel = clock.after(PING_EVERY_MS, ping);
  return () => {
    stopped = true;
    cancel();
  };
}
