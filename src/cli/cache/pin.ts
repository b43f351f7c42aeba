import type { CommandSpec } from "../command.ts";
import { Complaints } from "../complaints.ts";
import { pinnedTrack, track as trackShape } from "../control/answers.ts";
import { Problem } from "../control/client.ts";
import { fetchTracks } from "../fetching.ts";
import { toggle } from "../flags.ts";
import { type Owner, trackUrl, withOwner } from "../owner.ts";
import { type OwnerSettings, ownerSettings, upstreamFlags } from "../owner-settings.ts";
import type { Io } from "../io.ts";
import { createProgress, failureWords } from "../progress.ts";
import { namedKeys } from "../named-tracks.ts";
import { listHelp, written } from "../track-id.ts";

const noWait = toggle({ name: "no-wait", help: "leave the fetching to the server that runs" });

/** What no later try mends: a pin of it would be a pin of nothing. */
const HOPELESS = ["not-found", "unplayable", "bad-request"];

/** `afterbay cache pin ID...`: makes tracks available offline, and keeps them. */
export const pin: CommandSpec = {
  name: "pin",
  summary: "make tracks available offline and keep them",
  argument: "<ID...>",
  flags: [noWait, ...upstreamFlags],
  notes:
    `${listHelp}\n\nWhere no server runs, this command fetches by itself, and so waits even with\n` +
    "--no-wait. If it is ended before all is there, the pins stay, and the next server\nfetches the rest.",
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: true, stores: true, own: [noWait] });
    await withOwner(settings, io, async (owner, signal) => {
      const complaints = new Complaints(io);
      const pins = new Map<string, Pin>();
      for (const key of await namedKeys(owner, input.args, settings, complaints)) {
        const name = written(key, owner.defaultSource);
        await complaints.guard(name, async () => void pins.set(key, await place(owner, key)));
      }
      const missing = announce(pins, settings, owner, io);
      const failed = await fetchMissing(missing, { owner, settings, io, complaints }, signal);
      for (const [key, code] of failed) {
        if (HOPELESS.includes(code) && pins.get(key)?.isNew === true) await take(owner, key);
        pins.delete(key);
      }
      if (settings.json) {
        const pinned: unknown[] = [];
        for (const key of pins.keys()) pinned.push((await read(owner, key)) ?? { key, pinned: true });
        io.stdout.write(`${JSON.stringify({ pinned, failed: complaints.all })}\n`);
      }
      complaints.end();
    });
  },
};

interface Pin {
  readonly isComplete: boolean;
  readonly isNew: boolean;
}

/** Tells what is settled already; the keys of those to wait for. */
function announce(pins: ReadonlyMap<string, Pin>, settings: OwnerSettings, owner: Owner, io: Io): string[] {
  const missing: string[] = [];
  for (const [key, { isComplete }] of pins) {
    const leaveIt = settings.read(noWait) && !owner.own;
    if (!isComplete && !leaveIt) missing.push(key);
    else if (!settings.json) {
      io.stdout.write(
        `pinned ${written(key, owner.defaultSource)}, ${isComplete ? "all of it is here" : "the server fetches it"}\n`,
      );
    }
  }
  return missing;
}

interface Fetching {
  readonly owner: Owner;
  readonly settings: OwnerSettings;
  readonly io: Io;
  readonly complaints: Complaints;
}

/** Waits until each is there; the codes of those that cannot be had. */
async function fetchMissing(
  keys: readonly string[],
  { owner, settings, io, complaints }: Fetching,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const failed = new Map<string, string>();
  if (keys.length === 0) return failed;
  const { defaultSource } = owner;
  const progress = settings.json ? undefined : createProgress(io, { defaultSource, verb: "pinned" });
  try {
    for (const { key, state, code = "failed" } of await fetchTracks(
      owner,
      { keys, mode: "full" },
      (states) => progress?.update(states),
      signal,
    )) {
      if (state === "failed") failed.set(key, code);
    }
  } finally {
    progress?.end();
  }
  for (const [key, code] of failed) complaints.add(written(key, defaultSource), code, failureWords(code));
  return failed;
}

async function place(owner: Owner, key: string): Promise<Pin> {
  const before = await read(owner, key);
  const path = trackUrl("/api/tracks", key, "/pin");
  const { complete = false } = await owner.json({ method: "PUT", path }, pinnedTrack);
  return { isComplete: complete, isNew: before?.pinned !== true };
}

async function take(owner: Owner, key: string): Promise<void> {
  await owner.status({ method: "DELETE", path: trackUrl("/api/tracks", key, "/pin") });
}

/** Undefined for what no source lists and nothing is kept of: it may be there all the same. */
async function read(owner: Owner, key: string) {
  try {
    return await owner.json({ method: "GET", path: trackUrl("/api/tracks", key) }, trackShape);
  } catch (error) {
    if (error instanceof Problem && error.code === "not-found") return undefined;
    throw error;
  }
}
