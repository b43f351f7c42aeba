import type { CommandSpec } from "../command.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";

/** `afterbay cache path`: where songs are kept. Nobody is asked. */
export const path: CommandSpec = {
  name: "path",
  summary: "print the cache directory",
  flags: commonFlags,
  async run(input, io) {
    const { options, json } = await ownerSettings(input, io.env, { fetches: false, stores: false });
    io.stdout.write(`${json ? JSON.stringify({ cacheDir: options.cacheDir }) : options.cacheDir}\n`);
  },
};
