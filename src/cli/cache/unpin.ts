import type { CommandSpec } from "../command.ts";
import { Complaints } from "../complaints.ts";
import { trackUrl, withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { idHelp, keysOf, written } from "../track-id.ts";

/** `afterbay cache unpin ID...`: lets go of tracks; their bytes stay as long as there is room. */
export const unpin: CommandSpec = {
  name: "unpin",
  summary: "stop keeping tracks; their bytes stay as long as there is room",
  argument: "<ID...>",
  flags: commonFlags,
  notes: idHelp,
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: false, stores: false });
    await withOwner(settings, io, async (owner) => {
      const complaints = new Complaints(io);
      const unpinned: string[] = [];
      for (const key of keysOf(input.args, owner.defaultSource)) {
        const name = written(key, owner.defaultSource);
        await complaints.guard(name, async () => {
          await owner.status({ method: "DELETE", path: trackUrl("/api/tracks", key, "/pin") });
          unpinned.push(key);
          if (!settings.json) io.stdout.write(`unpinned ${name}\n`);
        });
      }
      if (settings.json) io.stdout.write(`${JSON.stringify({ unpinned, failed: complaints.all })}\n`);
      complaints.end();
    });
  },
};
