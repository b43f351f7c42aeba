import { expect, test } from "vitest";
import { systemClock } from "../../src/data-source/clock.ts";
import { Priority } from "../../src/data-source/data-source.ts";
import { AfterbayError } from "../../src/errors.ts";
import { Outcomes } from "../../src/prefetch/outcomes.ts";
import type { Job } from "../../src/prefetch/plan.ts";

test("what was evicted is fetched again, but for what there was no room: it would be evicted and fetched for ever", () => {
  const key = { source: "u", id: "song" };
  const head: Job = { key, part: "head", level: Priority.head, heals: false };
  const rest: Job = { key, part: "whole", level: Priority.body, heals: false };
  const outcomes = new Outcomes(systemClock);
  outcomes.done(head);
  outcomes.failed(rest, new AfterbayError("no-space", "The cache's budget does not hold this track"));
  expect(outcomes.evicted(key)).toBe(true);
  expect([outcomes.isDue(head), outcomes.isDue(rest)]).toEqual([true, false]);
  expect(outcomes.evicted(key)).toBe(false);
  expect(outcomes.forget(key)).toBe(true);
  expect(outcomes.isDue(rest)).toBe(true);
});
