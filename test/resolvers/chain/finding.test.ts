import { describe, expect, it } from "vitest";
import type { CatalogueTrack, FindRequest, Resolver } from "../../../src/data-source/resolution.ts";
import { AfterbayError } from "../../../src/errors.ts";
import { finding } from "../../../src/resolvers/chain/finding.ts";

const request: FindRequest = { signal: new AbortController().signal, limit: 5 };
const silent: Resolver = { resolve: () => Promise.reject(new AfterbayError("not-found", "no")) };
const giving = (id: string) => async (): Promise<CatalogueTrack[]> => [{ id }];
const failing = (words: string) => async (): Promise<CatalogueTrack[]> => {
  throw new AfterbayError("busy", words);
};

describe("how a chain finds tracks", () => {
  it("can what one of its members can", () => {
    expect(finding([silent, silent])).toEqual({});
    expect(Object.keys(finding([silent, { ...silent, similar: giving("a") }]))).toEqual(["similar"]);
  });

  it("reads names and lists by the first that knows them", async () => {
    const one: Resolver = { ...silent, canonical: (text) => (text === "x" ? "1" : undefined) };
    const two: Resolver = {
      ...silent,
      canonical: (text) => `2${text}`,
      expand: (id) => (id === "list" ? giving("a")() : undefined),
    };
    const chain = finding([one, two]);
    expect([chain.canonical?.("x"), chain.canonical?.("y")]).toEqual(["1", "2y"]);
    expect(await chain.expand?.("list", request)).toEqual([{ id: "a" }]);
    expect(chain.expand?.("track", request)).toBeUndefined();
  });

  it("searches by the first that does not fail, and tells the first failure where all do", async () => {
    const [bad, worse] = [failing("first"), failing("second")];
    expect(
      await finding([silent, { ...silent, search: bad }, { ...silent, search: giving("b") }]).search?.("w", request),
    ).toEqual([{ id: "b" }]);
    const none = finding([
      { ...silent, search: bad },
      { ...silent, search: worse },
    ]);
    await expect(none.search?.("w", request)).rejects.toThrow("first");
  });

  it("goes on to nobody when it is ended", async () => {
    const gone = new AbortController();
    const asked: string[] = [];
    const ending: Resolver = {
      ...silent,
      async search() {
        gone.abort(new Error("gone"));
        throw new AfterbayError("busy", "no");
      },
    };
    const other: Resolver = {
      ...silent,
      search: async (words) => {
        asked.push(words);
        return [];
      },
    };
    await expect(finding([ending, other]).search?.("w", { ...request, signal: gone.signal })).rejects.toThrow();
    expect(asked).toEqual([]);
  });
});
