import type { CommandSpec } from "./command.ts";
import { Complaints } from "./complaints.ts";
import { fetchTracks } from "./fetching.ts";
import { namedKeys } from "./named-tracks.ts";
import { toggle } from "./flags.ts";
import { withOwner } from "./owner.ts";
import { ownerSettings, upstreamFlags } from "./owner-settings.ts";
import { createJsonProgress, createProgress, failureWords } from "./progress.ts";
import { listHelp, written } from "./track-id.ts";

const head = toggle({ name: "head", help: "only the first 512 KiB of each, enough to start at once" });

/** `afterbay prefetch ID...`: caches tracks without playing them, and waits until they are there. */
export const prefetch: CommandSpec = {
  name: "prefetch",
  summary: "cache tracks without playing them",
  argument: "<ID...>",
  flags: [head, ...upstreamFlags],
  notes: `${listHelp}\n\nWith --json, each line is one track's state, the last one the sum.`,
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: true, stores: true, own: [head] });
    const mode = settings.read(head) ? "head" : "full";
    await withOwner(settings, io, async (owner, signal) => {
      const { defaultSource } = owner;
      const complaints = new Complaints(io);
      const keys = await namedKeys(owner, input.args, settings, complaints);
      const progress = settings.json ? createJsonProgress(io) : createProgress(io, { defaultSource, verb: "cached" });
      let fetched = 0;
      try {
        const states = await fetchTracks(owner, { keys, mode }, (now) => progress.update(now), signal);
        progress.end();
        fetched = states.filter(({ state }) => state === "done").length;
        for (const { key, state, code = "failed" } of states) {
          if (state === "failed") complaints.add(written(key, defaultSource), code, failureWords(code));
        }
      } finally {
        progress.end();
      }
      const failed = complaints.all.length;
      if (settings.json) {
        io.stdout.write(`${JSON.stringify({ done: true, fetched, failed })}\n`);
      }
      complaints.end();
    });
  },
};
