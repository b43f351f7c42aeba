import { describe, expect, it } from "vitest";
import type { ResolveRequest } from "../../src/data-source/resolution.ts";
import { createUrlResolver } from "../../src/resolvers/url.ts";

const about: ResolveRequest = { signal: new AbortController().signal, attempt: 1, reason: "first" };

async function fill(template: string, id: string): Promise<string> {
  return (await createUrlResolver(template).resolve(id, about)).url;
}

describe("createUrlResolver", () => {
  it.each([
    ["http://music.example/a/{id}.mp3", "yaman", "http://music.example/a/yaman.mp3"],
    ["https://music.example/a?track={id}&x=1", "a b", "https://music.example/a?track=a%20b&x=1"],
    ["http://music.example?{id}", "x", "http://music.example?x"],
    ["HTTP://music.example/{id}/{id}", "x", "HTTP://music.example/x/x"],
    ["http://music.example/{id}", "a/b?c#d&e", "http://music.example/a%2Fb%3Fc%23d%26e"],
    ["http://music.example/{id}", "!'()*~._-", "http://music.example/%21%27%28%29%2A~._-"],
    ["http://music.example/{id}", "é🎵%2F", "http://music.example/%C3%A9%F0%9F%8E%B5%252F"],
    ["http://music.example/{id}", "$&$1$`", "http://music.example/%24%26%241%24%60"],
    ["http://music.example/{id}", "{id}", "http://music.example/%7Bid%7D"],
    ["http://music.example/{id}", "../x", "http://music.example/..%2Fx"],
    ["http://music.example/{id}.mp3", "..", "http://music.example/...mp3"],
    ["http://music.example/x?id={id}", "..", "http://music.example/x?id=.."],
    ["http://music.example/%7Ea/{id}?sig=a|b", "x", "http://music.example/%7Ea/x?sig=a|b"],
  ])("fills %s with %s", async (template, id, url) => {
    expect(await fill(template, id)).toBe(url);
    expect(URL.canParse(url)).toBe(true);
  });

  it.each([
    ["http://music.example/{id}", ".."],
    ["http://music.example/{id}", "."],
    ["http://music.example/a/{id}/b", ".."],
    ["http://music.example/.{id}", "."],
    ["http://music.example/%2e{id}", "."],
  ])("has no track in %s for %s, which would climb", async (template, id) => {
    await expect(fill(template, id)).rejects.toMatchObject({ code: "not-found" });
  });

  it("names its host with its port, and no variant", async () => {
    const hostsOf = (template: string): unknown => createUrlResolver(template).hosts;
    expect(hostsOf("http://Music.example/{id}")).toEqual(["music.example:80"]);
    expect(hostsOf("https://music.example/{id}")).toEqual(["music.example:443"]);
    expect(hostsOf("http://[::1]:8080/{id}")).toEqual(["[::1]:8080"]);
    expect(hostsOf("http://0x7f.1:8080/{id}")).toEqual(["127.0.0.1:8080"]);
    const resolution = await createUrlResolver("http://music.example/{id}").resolve("x", about);
    expect(resolution).toEqual({ url: "http://music.example/x", headers: {} });
  });

  it("sends a template's password as a header, in no URL", async () => {
    const resolver = createUrlResolver("http://me:p%40ss@nas.local:81/{id}");
    expect(resolver.hosts).toEqual(["nas.local:81"]);
    expect(await resolver.resolve("x", about)).toEqual({
      url: "http://nas.local:81/x",
      headers: { authorization: `Basic ${Buffer.from("me:p@ss").toString("base64")}` },
    });
  });

  it.each([
    ["no placeholder", "http://music.example/a"],
    ["an empty one", ""],
    ["another scheme", "file:///music/{id}"],
    ["no scheme", "music.example/{id}"],
    ["javascript:", "javascript:alert({id})"],
    ["the placeholder as scheme", "{id}://music.example/"],
    ["the placeholder as host", "http://{id}/a"],
    ["the placeholder in the host", "http://{id}.example/a"],
    ["the placeholder after the host", "http://music.example{id}"],
    ["the placeholder as port", "http://music.example:{id}/"],
    ["the placeholder as user", "http://{id}@music.example/{id}"],
    ["the placeholder as password", "http://me:{id}@music.example/{id}"],
    ["the placeholder in the fragment", "http://music.example/#{id}"],
    ["a fragment", "http://music.example/{id}#a"],
    ["no host", "http:///{id}"],
    ["one slash", "http:/music.example/{id}"],
    ["a backslash", "http://music.example\\{id}"],
    ["a space", "http://music.example/a {id}"],
    ["a line break", "http://music.example/\n{id}"],
    ["a port that is none", "http://music.example:99999/{id}"],
  ])("refuses %s", (_, template) => {
    expect(() => createUrlResolver(template)).toThrow(/^[^\n]+$/);
  });

  it("quotes no template in its errors", () => {
    expect(() => createUrlResolver("http://me:secret@nas/a")).toThrow(/^(?!.*secret).*$/);
  });
});
