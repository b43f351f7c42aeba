import type { CommandSpec } from "../command.ts";
import { Complaints } from "../complaints.ts";
import { track as trackShape } from "../control/answers.ts";
import { Problem } from "../control/client.ts";
import { type Owner, trackUrl, withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { formatSize } from "../terminal/format.ts";
import { idHelp, keysOf, written } from "../track-id.ts";

/** The status of a deletion that is still to come: the track is in use. */
const ACCEPTED = 202;

/** `afterbay cache rm ID...`: forgets the bytes of tracks. */
export const rm: CommandSpec = {
  name: "rm",
  summary: "forget the bytes of tracks; of one in use they go when it is free",
  argument: "<ID...>",
  flags: commonFlags,
  notes: idHelp,
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: false, stores: false });
    await withOwner(settings, io, async (owner) => {
      const complaints = new Complaints(io);
      const removed: { key: string; bytes: number; inUse: boolean }[] = [];
      for (const key of keysOf(input.args, owner.defaultSource)) {
        const name = written(key, owner.defaultSource);
        const path = trackUrl("/api/tracks", key);
        await complaints.guard(name, async () => {
          const bytes = await storedBytes(owner, path);
          const inUse = (await owner.status({ method: "DELETE", path })) === ACCEPTED;
          removed.push({ key, bytes, inUse });
          if (settings.json) return;
          const size = formatSize(bytes);
          io.stdout.write(inUse ? `${name} is in use: its ${size} go when it is free\n` : `removed ${name}, ${size}\n`);
        });
      }
      if (settings.json) io.stdout.write(`${JSON.stringify({ removed, failed: complaints.all })}\n`);
      complaints.end();
    });
  },
};

/** Of what is pinned and not there yet, the owner may know nothing but the pin. */
async function storedBytes(owner: Owner, path: string): Promise<number> {
  try {
    return (await owner.json({ method: "GET", path }, trackShape)).cachedBytes;
  } catch (error) {
    if (error instanceof Problem && error.code === "not-found") return 0;
    throw error;
  }
}
