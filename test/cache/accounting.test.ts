import { open, truncate, unlink } from "node:fs/promises";
import { afterEach, expect, test } from "vitest";
import { Priority } from "../../src/data-source/data-source.ts";
import { seeded } from "../helpers/random.ts";
import { CacheWorld, keyOf } from "./world.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

const EXPECTED: unknown = expect.stringMatching(/^(variant-changed|no-space)$/);

let world: CacheWorld;
afterEach(() => world.close());

async function flip(path: string, at: number): Promise<void> {
  const handle = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 0x10]), 0, 1, at);
  await handle.close();
}

for (const seed of [1, 2, 3]) {
  test(`S6: whatever is done to it, the accounting is what du says, and within the budget, seed ${seed}`, async () => {
    const random = seeded(seed);
    const below = (end: number): number => Math.floor(random() * end);
    world = await CacheWorld.start({ budget: 4 * MiB });
    const ids = ["a", "b", "c", "d", "e", "f"];
    for (const id of ids) {
      world.song(id, 1 + below(1.5 * MiB));
      world.songs.set(`${id} low`, world.song(`${id} low`, 1 + below(300 * KiB), "low"));
    }
    const some = (): string => ids[below(ids.length)] ?? "a";
    const size = (id: string): number => world.songs.get(id)?.bytes.length ?? 0;
    const deeds: (() => Promise<unknown>)[] = [
      () => world.play(some(), { level: below(2) === 0 ? Priority.playback : Priority.body }),
      () => world.play(some(), { quality: "low" }),
      async () => {
        const id = some();
        const start = below(size(id));
        await world.play(id, { start, end: Math.min(size(id), start + below(100 * KiB)) });
      },
      async () => {
        const controller = new AbortController();
        const pace = async (): Promise<void> => controller.abort();
        await world.play(some(), { signal: controller.signal, pace }).catch(() => {});
      },
      () => world.cache.delete(keyOf(some())),
      () => Promise.all([world.play(some()), world.cache.delete(keyOf(some()))]),
      () => world.import(`import ${below(3)}`, 1 + below(MiB)),
      () => expect(world.import(`import ${below(3)}`, 1 + below(MiB), true)).rejects.toThrow(/changed|budget/),
      () => world.cache.evictTo(below(4 * MiB), { dryRun: false }),
      () => world.cache.verify(keyOf(some())),
      () => world.cache.keepArtwork(keyOf(some()), Buffer.alloc(1 + below(50 * KiB), 1)),
      async () => {
        for (const key of world.cache.keys()) {
          const stored = world.cache.find(key);
          if (stored !== undefined) await world.cache.spans(stored);
        }
      },
      async () => {
        world.cache.budget = (1 + below(8)) * MiB;
      },
      async () => {
        const id = some();
        world.song(id, 1 + below(MiB), String(random()));
      },
    ];
    /** Done to the files of a song while no handle is open that they were checked through. */
    const damage = [
      (path: string, end: number) => flip(`${path}.data`, below(end)),
      (path: string, end: number) => truncate(`${path}.data`, below(end)),
      (path: string) => unlink(`${path}.data`),
      (path: string, end: number) => truncate(`${path}.map`, below(Math.min(end, 100))),
    ];
    for (let round = 0; round < 40; round += 1) {
      const together = Array.from({ length: 1 + below(3) }, async () => await deeds[below(deeds.length)]?.());
      // What is read while another version comes is cut off.
      for (const outcome of await Promise.allSettled(together)) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: EXPECTED });
      }
      if (round % 6 === 5) {
        await world.idle();
        const id = some();
        const harm = damage[below(damage.length)];
        if (world.ids.includes(id)) await harm?.(world.pathOf(id), size(id)).catch(() => {});
        await world.cache.verify(keyOf(id));
        await world.play(id).catch((error: unknown) => expect(error).toMatchObject({ code: "variant-changed" }));
      }
      if (round % 8 === 7) await world.restart();
      if (round % 4 === 3) await world.agree();
    }
  }, 20_000);
}
