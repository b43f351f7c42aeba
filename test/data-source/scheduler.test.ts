import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { Priority, Urgency } from "../../src/data-source/data-source.ts";
import { Scheduler } from "../../src/data-source/scheduler.ts";
import { ManualClock, settle } from "./fakes.ts";

/** As long as playback may pause between two windows without prefetch taking its chance. */
const PAUSE_MS = 50;
let clock: ManualClock;
beforeEach(() => {
  clock = new ManualClock();
});

interface Job {
  readonly id: string;
  readonly source: string;
  readonly urgency: Urgency;
  readonly abort: AbortController;
  release?: () => void;
  /** Told to end, at once or in a pause. */
  preempted: boolean;
  asked?: "at once" | "in a pause";
  failed?: unknown;
}

const levels = [Priority.playback, Priority.head, Priority.body, Priority.background, Priority.abandoned] as const;

function apply(scheduler: Scheduler, id: string, level: Priority = Priority.playback, source = "s"): Job {
  const job: Job = { id, source, urgency: new Urgency(level), abort: new AbortController(), preempted: false };
  const applicant = {
    id,
    source,
    urgency: job.urgency,
    preempt: () => {
      job.preempted = true;
      job.asked = "at once";
    },
    giveWay: () => {
      job.preempted = true;
      job.asked = "in a pause";
    },
  };
  scheduler.acquire(applicant, job.abort.signal).then(
    (release) => {
      job.release = release;
    },
    (error: unknown) => {
      job.failed = error;
    },
  );
  return job;
}
const running = (jobs: readonly Job[]): boolean[] => jobs.map(({ release }) => release !== undefined);

describe("places", () => {
  test("2 a track; the next ones in turn", async () => {
    const scheduler = new Scheduler(clock);
    const jobs = [1, 2, 3, 4].map(() => apply(scheduler, "a"));
    await settle();
    expect(running(jobs)).toEqual([true, true, false, false]);
    jobs[1]?.release?.();
    await settle();
    expect(running(jobs)).toEqual([true, true, true, false]);
    expect(scheduler.counts).toEqual({ active: 2, waiting: 1 });
  });

  test("6 a source, another source has its own; a full track does not hold up the others", async () => {
    const scheduler = new Scheduler(clock);
    const jobs = ["a", "a", "a", "b", "b", "c", "c", "d"].map((id) => apply(scheduler, id));
    const other = apply(scheduler, "a", Priority.playback, "t");
    await settle();
    expect(running(jobs)).toEqual([true, true, false, true, true, true, true, false]);
    expect(running([other])).toEqual([true]);
  });

  test("a place is given back once, however often it is said", async () => {
    const scheduler = new Scheduler(clock);
    const jobs = [1, 2, 3, 4].map(() => apply(scheduler, "a"));
    await settle();
    jobs[0]?.release?.();
    jobs[0]?.release?.();
    await settle();
    expect(running(jobs)).toEqual([true, true, true, false]);
  });

  test("who leaves the queue lets the next one in, and leaves nothing behind", async () => {
    const scheduler = new Scheduler(clock);
    const jobs = [1, 2, 3, 4].map(() => apply(scheduler, "a"));
    await settle();
    const reason = new Error("left");
    jobs[2]?.abort.abort(reason);
    jobs[0]?.release?.();
    await settle();
    expect(running(jobs)).toEqual([true, true, false, true]);
    expect(jobs[2]?.failed).toBe(reason);
    const late = new AbortController();
    late.abort(reason);
    await expect(
      scheduler.acquire({ id: "a", source: "s", urgency: new Urgency(0), preempt() {}, giveWay() {} }, late.signal),
    ).rejects.toBe(reason);
    expect(scheduler.counts).toEqual({ active: 2, waiting: 0 });
  });
});

describe("priorities", () => {
  test("prefetch does not jump into the gap between two windows of playback", async () => {
    const scheduler = new Scheduler(clock);
    let playback = apply(scheduler, "a");
    const prefetch = apply(scheduler, "b", Priority.body);
    await settle();
    for (let window = 0; window < 5; window += 1) {
      playback.release?.();
      await clock.advance(PAUSE_MS / 2);
      playback = apply(scheduler, "a");
      await clock.advance(PAUSE_MS);
      expect(running([playback, prefetch])).toEqual([true, false]);
    }
    playback.release?.();
    await clock.advance(PAUSE_MS);
    expect(running([prefetch])).toEqual([true]);
  });

  test("the more urgent first, whoever came first", async () => {
    const scheduler = new Scheduler(clock);
    const holders = [apply(scheduler, "a"), apply(scheduler, "a")];
    const waiting = [Priority.body, Priority.head, Priority.playback].map((level) => apply(scheduler, "a", level));
    await settle();
    holders[0]?.release?.();
    await settle();
    expect(running(waiting)).toEqual([false, false, true]);
    holders[1]?.release?.();
    waiting[2]?.release?.();
    await clock.advance(PAUSE_MS);
    expect(running(waiting)).toEqual([false, true, true]);
    waiting[1]?.release?.();
    await settle();
    expect(running(waiting)).toEqual([true, true, true]);
  });

  test("prefetch gives way to playback everywhere, waits while it runs, and goes on after", async () => {
    const scheduler = new Scheduler(clock);
    const prefetch = [apply(scheduler, "a", Priority.head), apply(scheduler, "b", Priority.head, "t")];
    await settle();
    expect(running(prefetch)).toEqual([true, true]);
    const playback = apply(scheduler, "c");
    await settle();
    expect(running([playback])).toEqual([true]);
    expect(prefetch.map(({ preempted }) => preempted)).toEqual([true, true]);
    prefetch.forEach(({ release }) => release?.());
    const again = apply(scheduler, "a", Priority.head);
    await settle();
    expect(running([again])).toEqual([false]);
    playback.release?.();
    await clock.advance(PAUSE_MS - 1);
    expect(running([again])).toEqual([false]);
    await clock.advance(1);
    expect(running([again])).toEqual([true]);
  });

  test("prefetch leaves two places to playback, and gives way to it in a pause", async () => {
    const scheduler = new Scheduler(clock);
    const heads = ["a", "b", "c", "d", "e"].map((id) => apply(scheduler, id, Priority.head));
    await settle();
    expect(running(heads)).toEqual([true, true, true, true, false]);
    const playback = apply(scheduler, "x");
    await settle();
    expect(running([playback])).toEqual([true]);
    expect(heads.map(({ asked }) => asked)).toEqual([...Array<string>(4).fill("in a pause"), undefined]);
  });

  test("what playback needs the place of ends at once; what prefetch does, in a pause", async () => {
    const scheduler = new Scheduler(clock);
    const [left, other] = ["a", "b"].map(() => apply(scheduler, "a", Priority.background));
    await settle();
    const body = apply(scheduler, "a", Priority.body);
    await settle();
    expect([left?.asked, other?.asked, running([body])]).toEqual(["in a pause", undefined, [false]]);
    const playback = apply(scheduler, "a");
    await settle();
    expect([left?.asked, other?.asked, running([playback])]).toEqual(["at once", "in a pause", [false]]);
    left?.release?.();
    await settle();
    expect(running([playback])).toEqual([true]);
  });

  test("what playback joined and left again is asked again to give way", async () => {
    const scheduler = new Scheduler(clock);
    const head = apply(scheduler, "a", Priority.head);
    const playback = apply(scheduler, "b");
    await settle();
    expect(head.asked).toBe("in a pause");
    head.urgency.level = Priority.playback;
    delete head.asked;
    head.urgency.level = Priority.head;
    await settle();
    expect([head.asked, running([playback])]).toEqual(["in a pause", [true]]);
  });

  test("bodies wait for heads, but are not ended for them", async () => {
    const scheduler = new Scheduler(clock);
    const body = apply(scheduler, "a", Priority.body);
    await settle();
    const head = apply(scheduler, "b", Priority.head);
    const later = apply(scheduler, "c", Priority.body);
    await settle();
    expect([...running([body, head, later]), body.preempted]).toEqual([true, true, false, false]);
  });

  test("what nobody waits for gives way only where its place is needed", async () => {
    const scheduler = new Scheduler(clock);
    const [one, two] = [apply(scheduler, "a"), apply(scheduler, "a")];
    await settle();
    one.urgency.level = Priority.abandoned;
    apply(scheduler, "b");
    await settle();
    expect(one.preempted).toBe(false);
    const seek = apply(scheduler, "a");
    await settle();
    expect([one.preempted, two.preempted, running([seek])]).toEqual([true, false, [false]]);
    one.release?.();
    await settle();
    expect(running([seek])).toEqual([true]);
  });

  test("what playback joins is promoted, waiting or running", async () => {
    const scheduler = new Scheduler(clock);
    const playback = apply(scheduler, "a");
    const prefetch = apply(scheduler, "b", Priority.body);
    await settle();
    expect(running([prefetch])).toEqual([false]);
    prefetch.urgency.level = Priority.playback;
    await settle();
    expect(running([prefetch])).toEqual([true]);
    playback.release?.();
    prefetch.release?.();
    await clock.advance(PAUSE_MS);
    const running2 = apply(scheduler, "c", Priority.body);
    await settle();
    running2.urgency.level = Priority.playback;
    apply(scheduler, "d");
    await settle();
    expect(running2.preempted).toBe(false);
  });
});

test("never more than 2 a track and 6 a source, nobody is lost, and no more urgent one waits where there is a place", async () => {
  const step = fc.record({
    kind: fc.constantFrom("apply", "release", "leave", "level"),
    id: fc.constantFrom("a", "b", "c", "d"),
    source: fc.constantFrom("s", "t"),
    level: fc.constantFrom(...levels),
    pick: fc.nat(50),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const scheduler = new Scheduler(clock);
      let jobs: Job[] = [];
      for (const { kind, id, source, level, pick } of steps) {
        const job = jobs[pick % Math.max(1, jobs.length)];
        if (kind === "apply") jobs.push(apply(scheduler, id, level, source));
        else if (job !== undefined && kind === "release") job.release?.();
        else if (job !== undefined && kind === "leave" && job.release === undefined) job.abort.abort(new Error("left"));
        else if (job !== undefined && kind === "level") job.urgency.level = level;
        await Promise.resolve();
        await Promise.resolve();
        if (kind === "release" && job?.release !== undefined) jobs = jobs.filter((other) => other !== job);
        jobs = jobs.filter(({ failed }) => failed === undefined);
        // Those that were told to give way do so.
        for (const gone of jobs.filter(({ preempted, release }) => preempted && release !== undefined))
          gone.release?.();
        jobs = jobs.filter(({ preempted, release }) => !(preempted && release !== undefined));
        await Promise.resolve();
        await Promise.resolve();
        const active = jobs.filter(({ release }) => release !== undefined);
        for (const one of active) {
          const onSource = active.filter((other) => other.source === one.source);
          expect(onSource.length).toBeLessThanOrEqual(6);
          expect(onSource.filter((other) => other.id === one.id).length).toBeLessThanOrEqual(2);
        }
        expect(scheduler.counts.active + scheduler.counts.waiting).toBe(jobs.length);
      }
      // Everybody gets a turn in the end.
      for (let turn = 0; turn < 200 && jobs.length > 0; turn += 1) {
        for (const { release } of jobs) release?.();
        jobs = jobs.filter(({ release }) => release === undefined);
        await clock.advance(PAUSE_MS);
      }
      expect(jobs).toHaveLength(0);
      expect(scheduler.counts).toEqual({ active: 0, waiting: 0 });
    }),
    { numRuns: 60 },
  );
});
