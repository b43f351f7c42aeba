import type { CommandSpec } from "../command.ts";
import { cleared } from "../control/answers.ts";
import { withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { count, formatSize } from "../terminal/format.ts";

/** `afterbay cache clear`: forgets everything. It asks nothing: scripts call it. */
export const clear: CommandSpec = {
  name: "clear",
  summary: "forget everything, without asking; what is in use goes when it is free",
  flags: commonFlags,
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: false, stores: false });
    await withOwner(settings, io, async (owner) => {
      const done = await owner.json({ method: "POST", path: "/control/clear", body: {} }, cleared);
      const words = `removed ${count(done.removed, "track")}, ${formatSize(done.bytes)}`;
      const kept = done.kept === 0 ? "" : `; ${formatSize(done.kept)} in use will go when free`;
      io.stdout.write(`${settings.json ? JSON.stringify(done) : words + kept}\n`);
    });
  },
};
