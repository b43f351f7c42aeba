import { describe, expect, it } from "vitest";
import { openSource } from "../../../src/resolvers/index.ts";
import { assertInstalled } from "../../../src/resolvers/youtube/library.ts";
import { parseYouTubeOptions } from "../../../src/resolvers/youtube/options.ts";

describe("youtube?", () => {
  it("reads clients with their versions, a quality and a base", () => {
    expect(parseYouTubeOptions("clients=visionos@1.02,TV&quality=low&base=http://relay.example:81/yt/")).toEqual({
      clients: [{ name: "VISIONOS", version: "1.02" }, { name: "TV" }],
      quality: "low",
      base: { url: "http://relay.example:81/yt", host: "relay.example:81", headers: {} },
    });
    expect(parseYouTubeOptions("")).toMatchObject({ quality: "high", clients: [{ name: "VISIONOS" }, {}, {}] });
    expect(parseYouTubeOptions("base=https://me:pw%40x@relay.example").base).toEqual({
      url: "https://relay.example",
      host: "relay.example:443",
      headers: { authorization: `Basic ${btoa("me:pw@x")}` },
    });
  });

  it.each([
    ["client=TV", "no option"],
    ["clients=TV&clients=IOS", "twice"],
    ["clients=", "clients is a list"],
    ["clients=TV,,IOS", "clients is a list"],
    ["clients=TV@", "clients is a list"],
    ["clients=TV@1/2", "clients is a list"],
    ["clients=TV,tv@2", "one client twice"],
    [`clients=${Array.from({ length: 9 }, (_, n) => `C${n}X`).join(",")}`, "more than 8"],
    ["quality=best", "quality is one of"],
    ["base=ftp://SECRET@x", "base is an http"],
    ["base=http://x/?SECRET", "base is an http"],
    ["base=SECRET", "base is an http"],
  ])("refuses %s in one line", (query, says) => {
    expect(() => parseYouTubeOptions(query)).toThrow(says);
    expect(() => parseYouTubeOptions(query)).not.toThrow("SECRET");
  });
});

describe("the source", () => {
  it("is called youtube, with or without options, unless it is given a name", async () => {
    for (const [spec, key] of [
      ["youtube", "youtube"],
      ["youtube?clients=TV&base=http://127.0.0.1:9/", "youtube"],
      ["yt=youtube?quality=low", "yt"],
    ] as const) {
      const source = await openSource(spec);
      expect(source.key).toBe(key);
      await source.resolver.close?.();
    }
  });

  it("is refused in one line for what cannot work", async () => {
    const refusal = async (spec: string): Promise<unknown> => await openSource(spec).catch((error: unknown) => error);
    expect(await refusal("youtube:http://127.0.0.1")).toMatchObject({
      name: "ConfigError",
      message: "The source youtube takes options: youtube?…",
    });
    expect(await refusal("demo?x=1")).toMatchObject({ message: "The source demo takes no address; write demo" });
    expect(await refusal("url")).toMatchObject({ message: "The source url takes an address: url:…" });
    expect(await refusal("youtube?clients=NOPE")).toMatchObject({
      name: "ConfigError",
      message: expect.stringMatching(
        /^The source youtube cannot be used: youtubei.js knows no client NOPE; it knows IOS, /,
      ),
    });
  });

  it("says how to install what is missing", () => {
    const missing = (): never => {
      throw new Error("Cannot find module");
    };
    expect(() => assertInstalled(missing)).toThrow(
      /^youtubei\.js is not installed; install it with: npm install youtubei\.js$/,
    );
    expect(() => assertInstalled()).not.toThrow();
  });
});
