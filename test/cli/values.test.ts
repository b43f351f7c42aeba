import { describe, expect, it } from "vitest";
import { dataDirectory } from "../../src/data-directory.ts";
import { parseDuration } from "../../src/durations.ts";
import { parseSize } from "../../src/sizes.ts";

describe("sizes", () => {
  it.each([
    ["1", 1],
    ["65536", 65_536],
    ["512K", 524_288],
    ["512k", 524_288],
    ["200M", 209_715_200],
    ["2G", 2_147_483_648],
    ["1.5G", 1_610_612_736],
    ["1T", 1_099_511_627_776],
    [" 2G ", 2_147_483_648],
  ])("%s is %d bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(["", "K", "0", "0G", "-1", "1.5", "2GB", "2 G", "1e9", "0x10", "1,5G", "9007199254740993", "9999999T"])(
    "%j is none",
    (text) => {
      expect(parseSize(text)).toBeUndefined();
    },
  );
});

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["4s", 4000],
    ["30s", 30_000],
    ["2m", 120_000],
    ["6h", 21_600_000],
    ["1.5h", 5_400_000],
    ["1d", 86_400_000],
    ["4S", 4000],
  ])("%s is %d ms", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(["", "4", "s", "0s", "-4s", "4 s", "4sec", "1h30m", "0.1ms", "25d", "1e3ms"])("%j is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe("the directory for songs", () => {
  it.each([
    ["linux", {}, "/home/u", "/home/u/.local/share/afterbay"],
    ["linux", { XDG_DATA_HOME: "/data" }, "/home/u", "/data/afterbay"],
    ["linux", { XDG_DATA_HOME: "relative" }, "/home/u", "/home/u/.local/share/afterbay"],
    ["darwin", { XDG_DATA_HOME: "/data" }, "/Users/u", "/Users/u/Library/Application Support/afterbay"],
    ["win32", { LOCALAPPDATA: "C:\\Local" }, "C:\\Users\\u", "C:\\Local\\afterbay"],
    ["win32", {}, "C:\\Users\\u", "C:\\Users\\u\\AppData\\Local\\afterbay"],
  ] as const)("on %s with %j is the user's data directory", (platform, env, home, directory) => {
    expect(dataDirectory(platform, env, home)).toBe(directory);
  });
});
