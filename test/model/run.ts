import type { Client } from "./client.ts";
import { MiB } from "../../src/data-source/data-source.ts";
import { checkSpending } from "./spending.ts";
import { checkStore } from "./stored.ts";
import type { Sabotage } from "./instance.ts";
import type { Original } from "./origin.ts";
import type { ReadPlan, Scenario } from "./scenario.ts";
import { describe, nameOf, World } from "./world.ts";

/** What a run has shown, for those who want to know that it showed something. */
export interface Report {
  /** Requests that were answered in full. */
  readonly complete: number;
}

/** Rejections that nobody handles belong to whichever run is under way: there is one at a time. */
const unhandled: unknown[] = [];
process.on("unhandledRejection", (error) => unhandled.push(error));

/** Plays a scenario to its end and beyond. Rejects with what must not be. */
export async function run(scenario: Scenario, sabotage: Sabotage = {}): Promise<Report> {
  const world = new World(scenario, sabotage);
  unhandled.length = 0;
  const verify = (): void => {
    for (const error of unhandled.splice(0)) world.fail(`nobody handled ${describe(error)}`);
    if (world.failures.length > 0) throw new Error(world.failures.slice(0, 5).join("\n"));
  };
  try {
    await world.start();
    for (const step of scenario.steps) {
      await world.act(step);
      verify();
    }
    await world.quiet();
    verify();
    await recover(world, verify);
    await world.stop();
    await checkStore(world);
    verify();
    checkSpending(world);
    verify();
  } finally {
    world.place.kill();
  }
  return { complete: world.clients.filter(({ end, isAudio }) => end === "complete" && isAudio).length };
}

/** When faults have ended and time has passed, every track can be had: exactly, for its missing bytes alone, and to keep. */
async function recover(world: World, verify: () => void): Promise<void> {
  const { server, time } = world;
  world.endFaults();
  for (const list of [0, 1]) server.offline.prefetcher.setList(`list${list}`, [], "full");
  for (const track of world.scenario.tracks.keys()) await world.act({ kind: "unpin", track });
  // What was resolved too often may be resolved again, a circuit is closed, and nothing is in use.
  await time.pass(150_000);
  await world.quiet();
  verify();
  await checkDisk(world);
  world.budget = 64 * MiB;
  server.cache.budget = world.budget;
  const touched = world.originals.filter(({ requests, isContradictory }) => requests.length > 0 && !isContradictory);
  for (const original of touched) await readAgain(world, original);
  verify();
  await time.pass(70_000);
  if (world.scenario.reopened) {
    await world.stop();
    verify();
    await world.start();
    for (const original of touched) await readOffline(world, original);
  }
  await time.pass(11 * 60_000);
  if (world.place.handles > 0) world.fail(`${world.place.handles} file handles are open though nobody reads`);
  verify();
}

/** The accounts agree with the disk, and what is free has been given up. */
async function checkDisk(world: World): Promise<void> {
  const { cache } = world.server;
  const told = await world.settled(cache.measureDisk(), 60_000, "measuring");
  if (world.scenario.store !== "files") return;
  const taken = world.disk.allocated("/v1");
  // What someone else deletes, or cannot be looked at, is found out later.
  if (told !== taken && !world.rotten && !world.readsFailed)
    world.fail(`${taken} bytes are taken, and the cache says ${told}`);
  if (taken > world.budget && cache.bytes > 0) world.fail(`${taken} bytes are taken of a budget of ${world.budget}`);
}

function wholeOf(original: Original, changes: Partial<ReadPlan> = {}): ReadPlan {
  return {
    kind: "read",
    track: Number(original.track.slice(1)),
    low: original.name.endsWith("low"),
    head: false,
    ifRange: "none",
    offline: false,
    speed: 0,
    wait: true,
    ...changes,
  };
}

async function readAgain(world: World, original: Original): Promise<void> {
  const before = original.requests.length;
  const stored = world.server.cache.find(world.key(Number(original.track.slice(1))));
  let client = await world.read(wholeOf(original));
  // The rest of other bytes cannot be had any more: that is known now, and the player begins anew.
  if (!original.isSteady && client.end === "destroyed") client = await world.read(wholeOf(original));
  if (!isWhole(client)) {
    world.fail(
      `faults have ended, and yet ${nameOf(client)}: ${client.status} ${client.end} ${client.text}, ${client.received} of ${original.size}`,
    );
    return;
  }
  const fetched = original.requests.slice(before).reduce((sum, { sent }) => sum + sent, 0);
  const wasted = fetched + (stored?.bytes ?? 0) - client.received;
  // Of bytes that were found without a record it is known what they are when the upstream has said so.
  const isKnown = stored?.facts.size !== undefined;
  const only = world.original(Number(original.track.slice(1)), !original.name.endsWith("low")).requests.length === 0;
  if (original.isSteady && only && !world.rotten && !world.refused && !original.ignoredRange && isKnown && wasted > 0) {
    world.fail(`${nameOf(client)} fetched ${fetched} bytes though only ${client.received - stored.bytes} were missing`);
  }
}

async function readOffline(world: World, original: Original): Promise<void> {
  if (original.mayBeCutShort) return;
  const before = original.requests.length;
  const client = await world.read(wholeOf(original, { offline: true }));
  if (!isWhole(client)) {
    world.fail(`heard whole, and yet not offline: ${nameOf(client)}: ${client.status} ${client.end} ${client.text}`);
  }
  if (original.requests.length > before) world.fail(`the upstream of ${original.name} was asked for what is here`);
}

function isWhole({ status, end, received, versions, original }: Client): boolean {
  if (status !== 200 || end !== "complete") return false;
  if (original.mayBeCutShort) return true;
  return received === 0 || (versions ?? []).some(({ sizes }) => sizes.has(received));
}
