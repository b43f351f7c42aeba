import type { CommandSpec } from "../command.ts";
import { Complaints } from "../complaints.ts";
import { type Track, track as trackShape } from "../control/answers.ts";
import { Problem } from "../control/client.ts";
import { fetchTracks } from "../fetching.ts";
import { toggle } from "../flags.ts";
import { type Owner, trackUrl, withOwner } from "../owner.ts";
import { ownerSettings, upstreamFlags } from "../owner-settings.ts";
import { createProgress, failureWords } from "../progress.ts";
import { idHelp, keysOf, written } from "../track-id.ts";

const noWait = toggle({ name: "no-wait", help: "leave the fetching to the server that runs" });

/** What no later try mends: a pin of it would be a pin of nothing. */
const HOPELESS = ["not-found", "unplayable", "bad-request"];

/** `afterbay cache pin ID...`: makes tracks available offline, and keeps them. */
export const pin: CommandSpec = {
  name: "pin",
  summary: "make tracks available offline and keep them",
  argument: "<ID...>",
  flags: [noWait, ...upstreamFlags],
  notes: `${idHelp}\nWhere no server runs, this command fetches by itself, and so waits even with --no-wait.`,
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: true, stores: true, own: [noWait] });
    await withOwner(settings, io, async (owner, signal) => {
      const { defaultSource } = owner;
      const complaints = new Complaints(io);
      const pins = new Map<string, Pin>();
      for (const key of keysOf(input.args, defaultSource)) {
        await complaints.guard(written(key, defaultSource), async () => void pins.set(key, await place(owner, key)));
      }
      const say = (line: string): void => void (settings.json || io.stdout.write(`${line}\n`));
      const waiting: string[] = [];
      for (const [key, { track }] of pins) {
        if (track.complete) say(`pinned ${written(key, defaultSource)}, all of it is here`);
        else if (settings.read(noWait) && !owner.own)
          say(`pinned ${written(key, defaultSource)}, the server fetches it`);
        else waiting.push(key);
      }
      const progress = settings.json ? undefined : createProgress(io, { defaultSource, verb: "pinned" });
      try {
        const wanted = { keys: waiting, mode: "full" } as const;
        const states =
          waiting.length === 0 ? [] : await fetchTracks(owner, wanted, (now) => progress?.update(now), signal);
        progress?.end();
        for (const { key, state, code = "failed" } of states) {
          if (state !== "failed") continue;
          complaints.add(written(key, defaultSource), code, failureWords(code));
          if (HOPELESS.includes(code) && pins.get(key)?.isNew === true) await take(owner, key);
          pins.delete(key);
        }
      } finally {
        progress?.end();
      }
      if (settings.json) {
        const pinned = [];
        for (const key of pins.keys()) pinned.push(await read(owner, key));
        io.stdout.write(`${JSON.stringify({ pinned, failed: complaints.all })}\n`);
      }
      complaints.end();
    });
  },
};

interface Pin {
  readonly track: Track;
  readonly isNew: boolean;
}

async function place(owner: Owner, key: string): Promise<Pin> {
  const before = await read(owner, key).catch((error: unknown) => {
    // Of a track that no source lists, nothing is known before it is fetched.
    if (error instanceof Problem && error.code === "not-found") return undefined;
    throw error;
  });
  const track = await owner.json({ method: "PUT", path: trackUrl("/api/tracks", key, "/pin") }, trackShape);
  return { track, isNew: before?.pinned !== true };
}

async function take(owner: Owner, key: string): Promise<void> {
  await owner.status({ method: "DELETE", path: trackUrl("/api/tracks", key, "/pin") });
}

async function read(owner: Owner, key: string): Promise<Track> {
  return await owner.json({ method: "GET", path: trackUrl("/api/tracks", key) }, trackShape);
}
