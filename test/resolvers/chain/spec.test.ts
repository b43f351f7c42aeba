import { expect, test } from "vitest";
import { openSource } from "../../../src/resolvers/index.ts";
import { splitChain } from "../../../src/resolvers/chain/spec.ts";

const KINDS = ["demo", "url", "folder", "webhook", "youtube", "yt-dlp"];

test.each([
  ["youtube", ["youtube"]],
  ["youtube,yt-dlp", ["youtube", "yt-dlp"]],
  ["youtube?clients=TV,IOS&quality=low,yt-dlp", ["youtube?clients=TV,IOS&quality=low", "yt-dlp"]],
  ["yt-dlp?quality=low,url:http://x/{id}?a=1,2", ["yt-dlp?quality=low", "url:http://x/{id}?a=1,2"]],
  ["url:http://x/{id},demos", ["url:http://x/{id},demos"]],
  ["folder:/music/demo,demo", ["folder:/music/demo,demo"]],
  ["youtube,ytdlp", ["youtube,ytdlp"]],
])("%s", (text, specs) => {
  expect(splitChain(text, KINDS)).toEqual(specs);
});

test("a chain has the name that it is given", async () => {
  const { key, resolver } = await openSource("music=url:http://127.0.0.1:9/{id},demo");
  expect(key).toBe("music");
  expect((await resolver.list?.())?.length).toBeGreaterThan(0);
  expect(resolver.hosts).toContain("127.0.0.1:9");
  await resolver.close?.();
});

test.each([
  ["youtube,yt-dlp?path=/nowhere", "A chain of sources needs a name, as in NAME=youtube,yt-dlp"],
  ["music=demo,yt-dlp?path=/nowhere/x", /source yt-dlp cannot be used: there is no program/],
  ["music=demo,folder:/", /folder cannot be part of a chain/],
  ["music=demo,url", /takes an address/],
  ["music=demo,nothing", /no source demo,nothing/],
])("refuses %s in one line", async (spec, says) => {
  await expect(openSource(spec)).rejects.toThrow(says);
});
