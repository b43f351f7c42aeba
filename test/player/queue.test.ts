import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_ENTRIES, Queue, type QueueEntry, type Repeat, REPEATS } from "../../src/player/queue.ts";

const tracks = (...ids: string[]) => ids.map((id) => ({ source: "s", id }));
const ids = (entries: readonly QueueEntry[]): string => entries.map(({ id }) => id).join("");
const first = (): number => 0;
const last = (): number => 0.999_999;
const abc = Queue.empty.add(tracks("a", "b", "c", "d", "e"), first);
const entryOf = (queue: Queue, id: string): number => queue.entries.find((one) => one.id === id)?.entry ?? -1;
const at = (queue: Queue, id: string): Queue => queue.jump(entryOf(queue, id));

/** A generator of numbers as good as chance, the same for the same seed. */
function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("play order", () => {
  test("nothing is current until something is jumped to or asked for", () => {
    expect(abc.current).toBeUndefined();
    expect(abc.next().current?.id).toBe("a");
    expect(abc.previous().current).toBeUndefined();
    expect(ids(abc.upcoming(3))).toBe("abc");
  });

  test("play next comes behind the current one, also behind what was put there before", () => {
    const queue = at(abc, "b").playNext(tracks("x")).playNext(tracks("y"));
    expect(ids(queue.entries)).toBe("abyxcde");
    expect(queue.current?.id).toBe("b");
  });

  test("a track may be there twice, and each of them goes alone", () => {
    const twice = Queue.empty.add(tracks("a", "a"), first);
    const [one, other] = twice.entries;
    expect(one?.entry).not.toBe(other?.entry);
    expect(twice.jump(other?.entry ?? 0).position).toBe(1);
    expect(twice.remove([one?.entry ?? 0]).entries).toEqual([other]);
  });

  test("an entry's number is never given again", () => {
    const queue = abc.clear().add(tracks("z"), first);
    expect(abc.entries.map(({ entry }) => entry)).not.toContain(queue.entries[0]?.entry);
  });

  test("what is behind the current one follows when it is removed; at the end, nothing", () => {
    expect(at(abc, "b").remove([entryOf(abc, "b")]).current?.id).toBe("c");
    expect(at(abc, "e").remove([entryOf(abc, "e")]).current).toBeUndefined();
    const all = at(abc, "e").withRepeat("all");
    expect(all.remove([entryOf(abc, "e")]).current?.id).toBe("a");
  });
});

describe("repeat", () => {
  const end = at(abc, "e");
  test.each<[Repeat, string | undefined, string | undefined, string]>([
    ["off", undefined, undefined, ""],
    ["all", "a", "a", "ab"],
    ["one", "e", "a", "ab"],
  ])("%s", (repeat, after, following, upcoming) => {
    const queue = end.withRepeat(repeat);
    expect(queue.after?.id).toBe(after);
    expect(queue.following?.id).toBe(following);
    expect(ids(queue.upcoming(2))).toBe(upcoming);
    expect(queue.advance().current?.id).toBe(after ?? "e");
    expect(queue.next().current?.id).toBe(following ?? "e");
  });

  test("upcoming names each entry once, and never the current one", () => {
    expect(ids(at(abc, "c").withRepeat("all").upcoming(100))).toBe("deab");
  });
});

describe("shuffle", () => {
  test("begins with the current one, and back in order when it is turned off", () => {
    const queue = at(abc, "c").withShuffle(true, last);
    expect(queue.position).toBe(0);
    expect(queue.current?.id).toBe("c");
    expect(ids(queue.upcoming(9)).split("").toSorted().join("")).toBe("abde");
    const back = queue.next().withShuffle(false, last);
    expect(ids(back.entries)).toBe("abcde");
    expect(back.current?.id).toBe(queue.following?.id);
  });

  test("previous goes through what was played, also before it was turned on", () => {
    const queue = abc.next().next().next().withShuffle(true, first);
    const played = ids(queue.next().entries.slice(0, 2));
    expect(queue.next().previous().current?.id).toBe(played[0]);
    expect(queue.previous().current?.id).toBe("b");
    expect(queue.previous().previous().current?.id).toBe("a");
    expect(queue.previous().previous().previous().current?.id).toBe("a");
    expect(queue.previous().next().current?.id).toBe("c");
    expect(queue.previous().entries).toHaveLength(5);
  });

  test("a jump ahead passes over nothing, and previous comes back", () => {
    const queue = at(abc, "a").withShuffle(true, last);
    const target = queue.entries[3];
    const jumped = queue.jump(target?.entry ?? 0);
    expect(jumped.current).toBe(target);
    expect(jumped.previous().current?.id).toBe("a");
    expect(ids(jumped.upcoming(9))).toBe(ids([...queue.entries.slice(1, 3), ...queue.entries.slice(4)]));
  });

  test("what is added is spread over what is to come, each place as likely", () => {
    const random = chance(7);
    const counts = [0, 0, 0];
    const queue = Queue.empty
      .add(tracks("a", "b", "c"), random)
      .next()
      .withShuffle(true, random);
    for (let run = 0; run < 3000; run += 1) {
      const place = queue.add(tracks("x"), random).entries.findIndex(({ id }) => id === "x") - 1;
      counts[place] = (counts[place] ?? 0) + 1;
    }
    for (const count of counts) expect(count).toBeGreaterThan(800);
  });

  test("each order is as likely", () => {
    const random = chance(3);
    const seen = new Map<string, number>();
    for (let run = 0; run < 6000; run += 1) {
      const order = ids(Queue.empty.add(tracks("a", "b", "c"), random).withShuffle(true, random).entries);
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    for (const count of seen.values()) expect(count).toBeGreaterThan(800);
  });
});

/** The queue as one would explain it: lists of entry numbers, walked from end to end. */
class Model {
  play: number[] = [];
  listed: number[] = [];
  current: number | undefined;
  repeat: Repeat = "off";
  shuffle = false;
  past: number[] = [];

  leave(to: number | undefined): void {
    if (!this.shuffle && this.current !== undefined && to !== this.current) this.past.push(this.current);
    this.current = to;
  }

  next(): number | undefined {
    const place = this.current === undefined ? -1 : this.play.indexOf(this.current);
    if (place + 1 < this.play.length) return this.play[place + 1];
    return this.repeat === "off" ? undefined : this.play[0];
  }
}

const index = fc.oneof(fc.integer({ min: -2, max: 12 }), fc.constantFrom(Number.NaN, -1e9, 1e9, 2.5));
const some = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 4 });
const operation = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), some }),
  fc.record({ kind: fc.constant("insert" as const), some, index }),
  fc.record({ kind: fc.constant("playNext" as const), some }),
  fc.record({ kind: fc.constant("remove" as const), which: fc.array(fc.nat(12), { maxLength: 3 }) }),
  fc.record({ kind: fc.constant("move" as const), which: fc.nat(12), index }),
  fc.record({ kind: fc.constant("jump" as const), which: fc.nat(12) }),
  fc.record({ kind: fc.constantFrom("next" as const, "previous" as const, "advance" as const, "clear" as const) }),
  fc.record({ kind: fc.constant("shuffle" as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant("repeat" as const), repeat: fc.constantFrom(...REPEATS) }),
);

/** Does to both what `step` says; where chance decides, the model takes over an order that is allowed. */
function take(queue: Queue, model: Model, step: typeof operation extends fc.Arbitrary<infer T> ? T : never): Queue {
  const random = chance(model.play.length + 1);
  /** The entry that is meant, or one that is not there. */
  const nth = (which: number): number => model.play[which] ?? 1_000_000 + which;
  const inserted = (after: Queue): number[] =>
    after.entries.map(({ entry }) => entry).filter((entry) => !model.play.includes(entry));
  const place = (wanted: number, length: number): number =>
    Number.isNaN(wanted) ? length : Math.min(length, Math.max(0, Math.trunc(wanted)));
  switch (step.kind) {
    case "add": {
      const after = queue.add(tracks(...step.some), random);
      const added = inserted(after).toSorted((a, b) => a - b);
      const order = after.entries.map(({ entry }) => entry);
      const kept = model.current === undefined ? 0 : model.play.indexOf(model.current) + 1;
      if (!model.shuffle) expect(order).toEqual([...model.play, ...added]);
      expect(order.slice(0, kept)).toEqual(model.play.slice(0, kept));
      expect(order.filter((entry) => !added.includes(entry))).toEqual(model.play);
      model.play = order;
      model.listed.push(...added);
      return after;
    }
    case "insert":
    case "playNext": {
      const current = model.current === undefined ? 0 : model.play.indexOf(model.current) + 1;
      const to = step.kind === "insert" ? place(step.index, model.play.length) : current;
      const after =
        step.kind === "insert" ? queue.insert(step.index, tracks(...step.some)) : queue.playNext(tracks(...step.some));
      const added = inserted(after);
      const before = model.play[to - 1];
      model.listed.splice(before === undefined ? 0 : model.listed.indexOf(before) + 1, 0, ...added);
      model.play.splice(to, 0, ...added);
      return after;
    }
    case "remove": {
      const gone = new Set(step.which.map(nth));
      if (model.current !== undefined && gone.has(model.current)) {
        const behind = model.play.slice(model.play.indexOf(model.current) + 1).find((entry) => !gone.has(entry));
        const [start] = model.play.filter((entry) => !gone.has(entry));
        model.current = behind ?? (model.repeat === "all" ? start : undefined);
      }
      model.play = model.play.filter((entry) => !gone.has(entry));
      model.listed = model.listed.filter((entry) => !gone.has(entry));
      return queue.remove(gone);
    }
    case "move": {
      const entry = nth(step.which);
      if (model.play.includes(entry)) {
        const rest = model.play.filter((other) => other !== entry);
        rest.splice(place(step.index, rest.length), 0, entry);
        model.play = rest;
        if (!model.shuffle) model.listed = [...rest];
      }
      return queue.move(entry, step.index);
    }
    case "jump": {
      const entry = nth(step.which);
      if (model.play.includes(entry)) {
        const behind = model.current === undefined ? 0 : model.play.indexOf(model.current) + 1;
        if (model.shuffle && model.play.indexOf(entry) > behind) {
          model.play = model.play.filter((other) => other !== entry);
          model.play.splice(behind, 0, entry);
        }
        model.leave(entry);
      }
      return queue.jump(entry);
    }
    case "next":
      model.leave(model.next() ?? model.current);
      return queue.next();
    case "advance":
      if (model.repeat !== "one" || model.current === undefined) model.leave(model.next() ?? model.current);
      return queue.advance();
    case "previous": {
      const here = model.current === undefined ? -1 : model.play.indexOf(model.current);
      if (here > 0) model.leave(model.play[here - 1]);
      else if (here === 0) {
        const usable = (entry: number): boolean => entry !== model.current && model.play.includes(entry);
        let back: number | undefined;
        while (model.shuffle && model.past.some(usable) && (back === undefined || !usable(back)))
          back = model.past.pop();
        if (back !== undefined) {
          model.play = [back, ...model.play.filter((entry) => entry !== back)];
          model.current = back;
        } else if (model.repeat !== "off") model.leave(model.play.at(-1));
      }
      return queue.previous();
    }
    case "clear":
      Object.assign(model, { play: [], listed: [], past: [], current: undefined });
      return queue.clear();
    case "repeat":
      model.repeat = step.repeat;
      return queue.withRepeat(step.repeat);
    case "shuffle": {
      const after = queue.withShuffle(step.on, random);
      if (step.on && !model.shuffle) {
        const order = after.entries.map(({ entry }) => entry);
        expect(order.toSorted((a, b) => a - b)).toEqual(model.play.toSorted((a, b) => a - b));
        if (model.current !== undefined) expect(order[0]).toBe(model.current);
        model.play = order;
      } else if (!step.on && model.shuffle) {
        model.past = model.current === undefined ? [] : model.play.slice(0, model.play.indexOf(model.current));
        model.play = [...model.listed];
      }
      model.shuffle = step.on;
      return after;
    }
    default:
      throw new Error("No such step");
  }
}

test("every operation does what a naive model does, and survives being written down", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (steps) => {
      const model = new Model();
      let queue = Queue.empty;
      for (const step of steps) {
        queue = take(queue, model, step);
        expect(queue.entries.map(({ entry }) => entry)).toEqual(model.play);
        expect(queue.current?.entry).toBe(model.current);
        expect(queue.following?.entry).toBe(model.next());
        expect(queue.after?.entry).toBe(
          model.repeat === "one" && model.current !== undefined ? model.current : model.next(),
        );
        let walked = queue.withRepeat(queue.repeat === "off" ? "off" : "all");
        for (const entry of queue.upcoming(4)) {
          walked = walked.next();
          expect(walked.current).toBe(entry);
        }
        const again = Queue.fromJSON(JSON.parse(JSON.stringify(queue)));
        expect(again.toJSON()).toEqual(queue.toJSON());
        expect(again.withShuffle(false, first).entries.map(({ entry }) => entry)).toEqual(model.listed);
        const [added] = again.playNext(tracks("n")).entries.slice(again.position + 1);
        expect(model.play).not.toContain(added?.entry);
      }
    }),
    { numRuns: 300 },
  );
});

test.each([
  ["nothing", undefined],
  ["no list", { entries: "a", position: -1, repeat: "off" }],
  ["a bad id", { entries: [[1, "s", "a\u0000"]], position: -1, repeat: "off" }],
  ["a bad source", { entries: [[1, "../s", "a"]], position: -1, repeat: "off" }],
  [
    "a number twice",
    {
      entries: [
        [1, "s", "a"],
        [1, "s", "b"],
      ],
      position: -1,
      repeat: "off",
    },
  ],
  ["a number beyond counting", { entries: [[2 ** 53 - 1, "s", "a"]], position: -1, repeat: "off" }],
  ["a position beyond the end", { entries: [[1, "s", "a"]], position: 1, repeat: "off" }],
  ["no number for a position", { entries: [[1, "s", "a"]], position: "0", repeat: "off" }],
  ["another way to repeat", { entries: [], position: -1, repeat: "constructor" }],
  ["an order of other entries", { entries: [[1, "s", "a"]], listed: [2], position: -1, repeat: "off" }],
  [
    "an order that names one twice",
    {
      entries: [
        [1, "s", "a"],
        [2, "s", "a"],
      ],
      listed: [1, 1],
      position: -1,
      repeat: "off",
    },
  ],
])("refuses %s", (_, value) => {
  expect(() => Queue.fromJSON(value)).toThrow(TypeError);
});

test("10,000 entries: 300 operations in well under a second", () => {
  const random = chance(1);
  const many = tracks(...Array.from({ length: 10_000 }, (_, number) => `t${number}`));
  const began = performance.now();
  let queue = Queue.empty.add(many, random);
  for (let round = 0; round < 30; round += 1) {
    const entry = queue.entries[Math.floor(random() * queue.entries.length)]?.entry ?? 0;
    queue = queue
      .withShuffle(round % 2 === 0, random)
      .jump(entry)
      .move(entry, round * 300)
      .next();
    queue = queue.playNext(tracks("x")).add(tracks("y"), random).remove([entry]).previous().advance();
    expect(queue.upcoming(3)).toHaveLength(3);
  }
  expect(performance.now() - began).toBeLessThan(1500);
  expect(queue.entries).toHaveLength(10_030);
});

test("takes in no more than it holds", () => {
  const many = tracks(...Array.from({ length: MAX_ENTRIES }, () => "a"));
  const full = Queue.empty.add(many, first);
  expect(full.add(tracks("b"), first).entries).toHaveLength(MAX_ENTRIES);
});
