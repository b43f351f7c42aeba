import { beforeEach, describe, expect, test } from "vitest";
import { PauseWatch } from "../../src/data-source/pause-watch.ts";
import { ManualClock } from "./fakes.ts";

let clock: ManualClock;
let watch: PauseWatch;
let cuts: number[];
let asked: number;
beforeEach(() => {
  clock = new ManualClock();
  watch = new PauseWatch((ms, act) => clock.after(ms, act));
  cuts = [];
  asked = clock.now();
});

const cutSoon = (limitMs = 80): void => watch.cutSoon(() => cuts.push(clock.now() - asked), limitMs);
function arrive(): void {
  watch.came();
  watch.waits();
}

describe("a request that is to be cut", () => {
  test("is cut right after the next bytes", async () => {
    arrive();
    cutSoon();
    await clock.advance(15);
    expect(cuts).toEqual([]);
    arrive();
    await clock.advance(20);
    expect(cuts).toEqual([16]);
  });

  test("not between two pieces that come together", async () => {
    cutSoon();
    for (let piece = 0; piece < 10; piece += 1) {
      arrive();
      await clock.advance(0.5);
    }
    expect(cuts).toEqual([]);
    await clock.advance(1);
    expect(cuts).toEqual([5.5]);
  });

  test("in a silence that is long", async () => {
    cutSoon();
    await clock.advance(100);
    expect(cuts).toEqual([40]);
  });

  test("in a stream without a pause, at the limit", async () => {
    cutSoon();
    for (let ms = 0; ms < 100; ms += 0.5) {
      arrive();
      await clock.advance(0.5);
    }
    expect(cuts).toEqual([80]);
  });

  test("not while bytes that came are not pulled, but at the limit", async () => {
    cutSoon();
    watch.came();
    await clock.advance(79);
    expect(cuts).toEqual([]);
    await clock.advance(1);
    expect(cuts).toEqual([80]);
  });

  test("once, however often that is asked; and another time when it is asked again", async () => {
    cutSoon();
    cutSoon();
    await clock.advance(200);
    expect(cuts).toEqual([40]);
    cutSoon();
    await clock.advance(200);
    expect(cuts).toEqual([40, 240]);
  });
});
