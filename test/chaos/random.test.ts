import { afterEach, expect, test } from "vitest";
import { type ChaosRig, startChaosRig } from "./chaos-rig.ts";

let rig: ChaosRig | undefined;
afterEach(async () => {
  await rig?.close();
  expect(rig?.faults).toEqual([]);
});

const kinds = ["status", "retryAfter", "truncate", "shiftRange", "contentRange", "multipart", "page", "redirect"];

/** What 60 requests of each track meet with this script. */
async function run(random: object, seed?: number): Promise<unknown[]> {
  await rig?.close();
  rig = await startChaosRig({ faults: { random }, tracks: { a: { size: 2000 }, b: { size: 2000 } } }, seed);
  for (let n = 0; n < 60; n++)
    for (const id of ["a", "b"]) await rig.get(`/${id}`, { headers: { range: "bytes=0-99" } });
  const { entries } = (await rig.json("/chaos/log")) as { entries: Record<string, unknown>[] };
  return entries.map(({ path, range, status, start, bytesSent, faults, outcome, track }) => ({
    ...{ path, range, status, start, bytesSent, faults, outcome, track },
  }));
}

test("equal seeds, equal logs; another seed, another", async () => {
  const first = await run({ kinds }, 7);
  expect(await run({ kinds }, 7)).toEqual(first);
  expect(await run({ kinds }, 8)).not.toEqual(first);
  // A seed of its own holds against --seed.
  const own = await run({ kinds, seed: 7 }, 8);
  expect(own.map((one) => ({ ...(one as object), path: "" }))).toEqual(
    first.map((one) => ({ ...(one as object), path: "" })),
  );
});

test("as many as the rate says, never more in a row than the streak; each track has lots of its own", async () => {
  const faults = async (random: object): Promise<{ a: number[]; b: number[] }> => {
    const entries = (await run(random, 3)) as { track: string; faults: string[] }[];
    const of = (id: string): number[] =>
      entries.filter(({ track }) => track === id).map((one) => Math.min(1, one.faults.length));
    return { a: of("a"), b: of("b") };
  };
  const some = await faults({ kinds: ["status"], rate: 0.3 });
  expect(some.a).not.toEqual(some.b);
  const sum = [...some.a, ...some.b].reduce((total, one) => total + one, 0);
  expect(sum).toBeGreaterThan(18);
  expect(sum).toBeLessThan(50);
  expect(some.a.join("")).not.toContain("111");
  expect((await faults({ kinds: ["status"], rate: 0 })).a.join("")).toMatch(/^0{60}$/);
  expect((await faults({ kinds: ["status"], rate: 1, streak: 3 })).a.join("")).toMatch(/^(1110)+$/);
});

test("every kind is drawn, and each is what it is called", async () => {
  const entries = (await run({ kinds, rate: 1, streak: 1000 }, 5)) as { faults: string[]; status: number }[];
  const drawn = new Set(entries.flatMap((entry) => entry.faults));
  for (const kind of kinds) expect([...drawn]).toContain(kind);
  expect(new Set(entries.map(({ status }) => status)).size).toBeGreaterThan(5);
});
