import * as fc from "fast-check";
import { expect, it } from "vitest";
import { chooseVictims } from "../../src/cache/eviction.ts";

const tracks = fc.uniqueArray(
  fc.record({ key: fc.string(), disk: fc.nat(100), playedAt: fc.integer({ min: -10, max: 10 }) }),
  { selector: ({ key }) => key },
);

it("takes those read longest ago, enough of them and not one more", () => {
  fc.assert(
    fc.property(tracks, fc.integer({ min: -5, max: 500 }), (candidates, excess) => {
      const victims = chooseVictims(candidates, excess);
      const freed = victims.reduce((sum, one) => sum + one.disk, 0);
      const all = candidates.reduce((sum, one) => sum + one.disk, 0);
      expect(freed).toBeGreaterThanOrEqual(Math.min(excess, all));
      if (victims.length > 0) expect(freed - (victims.at(-1)?.disk ?? 0)).toBeLessThan(excess);
      const latest = Math.max(...victims.map((one) => one.playedAt));
      for (const one of candidates) {
        if (!victims.includes(one) && one.disk > 0) expect(one.playedAt).toBeGreaterThanOrEqual(latest);
      }
    }),
  );
});

it("keeps everything while there is room, and what frees nothing", () => {
  const empty = { key: "empty", disk: 0, playedAt: 0 };
  const full = { key: "full", disk: 10, playedAt: 9 };
  expect(chooseVictims([empty, full], 0)).toEqual([]);
  expect(chooseVictims([empty, full], 1)).toEqual([full]);
});

it("goes by age first, and by the order given among equals", () => {
  const one = (key: string, playedAt: number) => ({ key, disk: 10, playedAt });
  const victims = chooseVictims([one("c", 3), one("a", 1), one("b", 1), one("d", 4)], 25);
  expect(victims.map(({ key }) => key)).toEqual(["a", "b", "c"]);
});

it("gives up what is wished for only after all that nobody wishes for", () => {
  const one = (key: string, playedAt: number, wished: boolean) => ({ key, disk: 10, playedAt, wished });
  const victims = chooseVictims([one("old wish", 1, true), one("b", 3, false), one("a", 2, false)], 25);
  expect(victims.map(({ key }) => key)).toEqual(["a", "b", "old wish"]);
});
