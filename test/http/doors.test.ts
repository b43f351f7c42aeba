import type { IncomingHttpHeaders } from "node:http";
import { describe, expect, it } from "vitest";
import {
  assertBindAllowed,
  createDoors,
  type DoorOptions,
  type DoorVerdict,
  parseAllowedHost,
  parseAllowedOrigin,
  tokenCookie,
} from "../../src/http/doors.ts";

interface Asked {
  readonly method?: string;
  readonly url?: string;
  readonly httpVersion?: string;
  readonly headers?: IncomingHttpHeaders;
}

function ask(
  options: Partial<DoorOptions>,
  { method = "GET", url = "/", httpVersion = "1.1", headers = {} }: Asked,
): DoorVerdict {
  const doors = createDoors({ host: "127.0.0.1", port: 8085, ...options });
  return doors({ method, url, httpVersion, headers: { host: "127.0.0.1:8085", ...headers } });
}

function kind(options: Partial<DoorOptions>, asked: Asked): string {
  const verdict = ask(options, asked);
  if (verdict.kind === "refused") expect(verdict.error.code).toBe("forbidden");
  return verdict.kind;
}

function bearer(token: string): IncomingHttpHeaders {
  return { authorization: `Bearer ${token}` };
}

/** What becomes of a change (DELETE, unless `asked` says otherwise) by a page of `origin`. */
function change(origin: string | undefined, asked: Asked = {}, options: Partial<DoorOptions> = {}): string {
  const headers = { ...asked.headers, ...(origin !== undefined && { origin }) };
  return kind(options, { method: "DELETE", url: "/api/tracks/demo/a", ...asked, headers });
}

function corsFor(origin: string | undefined): unknown {
  const headers = origin === undefined ? {} : { origin };
  return ask({ allowOrigins: ["https://app.example"] }, { url: "/stream/a", headers }).headers;
}

function preflight(origin: string): Asked {
  const headers = { origin, "access-control-request-method": "GET", "sec-fetch-site": "cross-site" };
  return { method: "OPTIONS", url: "/stream/a", headers };
}

function openWithoutToken(url: string): string {
  return kind({ token: "t" }, { url });
}

describe("Host", () => {
  it.each(["127.0.0.1:8085", "localhost:8085", "[::1]:8085", "LOCALHOST:8085", "127.0.0.1", "localhost", "[::1]"])(
    "%s is open",
    (host) => expect(kind({}, { headers: { host } })).toBe("open"),
  );

  it.each([
    "evil.example",
    "evil.example:8085",
    "127.0.0.1:8086",
    "localhost:80",
    "localhost.evil.example:8085",
    "127.0.0.1.evil.example:8085",
    "localhost.:8085",
    "127.0.0.2:8085",
    "127.1:8085",
    "2130706433:8085",
    "::1:8085",
    "localhost:8085, evil.example",
    "localhost:8085:8085",
    "localhost:08085",
    "user@localhost:8085",
    "",
    " localhost:8085",
  ])("%j is refused", (host) => expect(kind({}, { headers: { host } })).toBe("refused"));

  it("is required in HTTP/1.1, not in HTTP/1.0", () => {
    const doors = createDoors({ host: "127.0.0.1", port: 8085 });
    expect(doors({ method: "GET", url: "/ping", httpVersion: "1.1", headers: {} }).kind).toBe("refused");
    expect(doors({ method: "GET", url: "/ping", httpVersion: "1.0", headers: {} }).kind).toBe("open");
  });

  it("may be the bound address", () => {
    expect(kind({ host: "192.168.1.5" }, { headers: { host: "192.168.1.5:8085" } })).toBe("open");
    expect(kind({ host: "fd00::5" }, { headers: { host: "[fd00::5]:8085" } })).toBe("open");
    expect(kind({ host: "Nas.local" }, { headers: { host: "nas.local:8085" } })).toBe("open");
    expect(kind({ host: "0.0.0.0" }, { headers: { host: "192.168.1.5:8085" } })).toBe("refused");
  });

  it("may be an allowed name: without a port with the own or none, with a port with exactly that", () => {
    const named = { allowHosts: ["Music.example"] };
    const hosts = ["music.example", "music.example:8085", "MUSIC.example", "music.example:443", "a.music.example"];
    expect(hosts.map((host) => kind(named, { headers: { host } }))).toEqual([
      "open",
      "open",
      "open",
      "refused",
      "refused",
    ]);
    const ported = { allowHosts: ["music.example:8443", "[fd00::5]:9000"] };
    const others = ["music.example:8443", "music.example", "music.example:8085", "[fd00::5]:9000", "[fd00::5]"];
    expect(others.map((host) => kind(ported, { headers: { host } }))).toEqual([
      "open",
      "refused",
      "refused",
      "open",
      "refused",
    ]);
  });

  it("is judged on every path and method", () => {
    for (const url of ["/ping", "/healthz", "/stream/a", "/api/tracks", "/", "/metrics"]) {
      for (const method of ["GET", "HEAD", "OPTIONS", "DELETE"]) {
        expect(kind({}, { method, url, headers: { host: "evil.example" } })).toBe("refused");
      }
    }
  });
});

describe("Origin", () => {
  it.each(["PUT", "POST", "DELETE", "PATCH", "BREW"])("%s is for own pages, programs and allowed origins", (method) => {
    const options = { allowOrigins: ["https://app.example"] };
    expect(change(undefined, { method }, options)).toBe("open");
    expect(change("http://127.0.0.1:8085", { method }, options)).toBe("open");
    expect(change("https://app.example", { method }, options)).toBe("open");
    for (const foreign of [
      "null",
      "https://evil.example",
      "http://app.example",
      "https://app.example:8443",
      "https://app.example.evil.example",
      "https://evilapp.example",
      "https://app.example/",
      "http://127.0.0.1:8086",
      "http://127.0.0.1",
      "http://localhost:8085",
      "ftp://127.0.0.1:8085",
      "http://127.0.0.1:8085.evil.example",
    ]) {
      expect(change(foreign, { method }, options)).toBe("refused");
    }
  });

  it("is own only under the Host that was asked", () => {
    expect(change("http://localhost:8085", { headers: { host: "localhost:8085" } })).toBe("open");
    expect(
      change("https://music.example", { headers: { host: "music.example" } }, { allowHosts: ["music.example"] }),
    ).toBe("open");
  });

  it("does not matter for reading, which a browser keeps from foreign pages without CORS", () => {
    const verdict = ask({}, { url: "/api/tracks", headers: { origin: "https://evil.example" } });
    expect(verdict).toEqual({ kind: "open", headers: {} });
  });
});

describe("/stream", () => {
  const options = { allowOrigins: ["https://app.example"] };
  const stream = (headers: IncomingHttpHeaders, url = "/stream/demo/yaman"): string => kind(options, { url, headers });

  it("is open to players, own pages and navigations", () => {
    expect(stream({})).toBe("open");
    expect(stream({ "sec-fetch-site": "same-origin" })).toBe("open");
    expect(stream({ "sec-fetch-site": "none" })).toBe("open");
    expect(stream({ "sec-fetch-site": "same-origin", origin: "http://127.0.0.1:8085" })).toBe("open");
  });

  it.each(["cross-site", "same-site"])("refuses %s unless the origin is allowed", (site) => {
    expect(stream({ "sec-fetch-site": site })).toBe("refused");
    expect(stream({ "sec-fetch-site": site, origin: "https://evil.example" })).toBe("refused");
    expect(stream({ "sec-fetch-site": site, origin: "null" })).toBe("refused");
    expect(stream({ "sec-fetch-site": site, origin: "http://127.0.0.1:8085" })).toBe("refused");
    expect(stream({ "sec-fetch-site": site, origin: "https://app.example" })).toBe("open");
    expect(stream({ "sec-fetch-site": site }, "/stream/yaman?quality=low")).toBe("refused");
    expect(stream({ "sec-fetch-site": site }, "/stream")).toBe("refused");
    expect(stream({ "sec-fetch-site": site }, "http://127.0.0.1:8085/stream/yaman")).toBe("refused");
    expect(stream({ "sec-fetch-site": site }, "/streams")).toBe("open");
  });

  it("refuses a foreign Origin from browsers without Fetch Metadata", () =>
    expect(stream({ origin: "https://evil.example" })).toBe("refused"));

  it("gives CORS headers to the allowed origin, and to no other", () => {
    expect(corsFor("https://app.example")).toEqual({
      vary: "Origin",
      "access-control-allow-origin": "https://app.example",
      "access-control-expose-headers":
        "Content-Range, Accept-Ranges, ETag, Cache-Status, Server-Timing, Content-Length",
    });
    expect(corsFor("https://evil.example")).toEqual({ vary: "Origin" });
    expect(corsFor(undefined)).toEqual({ vary: "Origin" });
  });
});

describe("preflights", () => {
  const options = { allowOrigins: ["https://app.example", "tauri://localhost"], token: "t" };

  it("are answered for allowed origins, without a token", () => {
    const verdict = ask(options, preflight("https://app.example"));
    expect(verdict.kind).toBe("preflight");
    expect(verdict.headers).toMatchObject({
      vary: "Origin",
      "access-control-allow-origin": "https://app.example",
      "access-control-allow-methods": expect.stringContaining("DELETE"),
      "access-control-allow-headers": expect.stringContaining("Range"),
    });
    expect(kind(options, preflight("tauri://localhost"))).toBe("preflight");
  });

  it("are refused to others", () => {
    const verdict = ask(options, preflight("https://evil.example"));
    expect([verdict.kind, verdict.headers]).toEqual(["refused", { vary: "Origin" }]);
    expect(kind(options, preflight("null"))).toBe("refused");
  });

  it("are not every OPTIONS", () => expect(kind({}, { method: "OPTIONS", url: "/api/tracks" })).toBe("open"));
});

describe("the token", () => {
  const options = { token: "s3cret ü%20" };

  it("comes as a header, a cookie or a query parameter", () => {
    const plain = { token: "abc" };
    expect(kind(plain, { headers: bearer("abc") })).toBe("open");
    expect(kind(plain, { headers: { authorization: "bearer  abc" } })).toBe("open");
    expect(kind(plain, { headers: { cookie: "x=1; afterbay_token=abc; y=2" } })).toBe("open");
    expect(kind(plain, { url: "/stream/a?quality=low&token=abc" })).toBe("open");
    expect(kind(plain, { url: "/stream/a?token=abc", headers: bearer("wrong") })).toBe("open");
  });

  it("may hold any characters", () => {
    expect(kind(options, { url: `/?token=${encodeURIComponent(options.token)}` })).toBe("open");
    expect(kind(options, { headers: { cookie: tokenCookie(options.token).split(";")[0] } })).toBe("open");
    expect(kind({ token: "50%" }, { headers: { cookie: "afterbay_token=50%" } })).toBe("open");
  });

  it.each<[string, Asked]>([
    ["nothing", {}],
    ["a wrong one", { headers: bearer("wrong") }],
    ["an empty one", { url: "/?token=" }],
    ["an empty header", { headers: { authorization: "Bearer " } }],
    ["another scheme", { headers: { authorization: "Basic s3cret" } }],
    ["another cookie", { headers: { cookie: "xafterbay_token=s3cret; afterbay_tokens=s3cret" } }],
    ["a prefix", { headers: bearer("s3cre") }],
    ["a longer one", { headers: bearer("s3crets") }],
    ["another case", { headers: bearer("S3CRET") }],
    ["the token in the path", { url: "/stream/token=s3cret" }],
  ])("%s is refused", (_, asked) => expect(kind({ token: "s3cret" }, asked)).toBe("refused"));

  it("is not needed for /ping alone", () => {
    expect(openWithoutToken("/ping")).toBe("open");
    expect(openWithoutToken("/ping?x")).toBe("open");
    for (const url of [
      "/",
      "/ping/",
      "/pingx",
      "/healthz",
      "/readyz",
      "/metrics",
      "/stream/ping",
      "/api/tracks",
      "//ping",
    ]) {
      expect(openWithoutToken(url)).toBe("refused");
    }
  });

  it("does not open the other doors", () => {
    const headers = { ...bearer("t"), origin: "https://evil.example" };
    expect(kind({ token: "t" }, { method: "DELETE", url: "/api/tracks/demo/a", headers })).toBe("refused");
    expect(kind({ token: "t" }, { headers: { ...bearer("t"), host: "evil.example" } })).toBe("refused");
  });

  it("an empty one is none", () => expect(kind({ token: "" }, {})).toBe("open"));
});

describe("assertBindAllowed", () => {
  it.each(["127.0.0.1", "127.8.9.1", "localhost", "LocalHost", "::1", "[::1]", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"])(
    "%s needs no token",
    (host) => expect(() => assertBindAllowed(host, undefined)).not.toThrow(),
  );

  it.each(["0.0.0.0", "::", "", "192.168.1.5", "10.0.0.1", "nas.local", "localhost.evil.example", "::ffff:10.0.0.1"])(
    "%j needs one",
    (host) => {
      expect(() => assertBindAllowed(host, undefined)).toThrow(/--token/);
      expect(() => assertBindAllowed(host, "")).toThrow(/--token/);
      expect(() => assertBindAllowed(host, "t")).not.toThrow();
    },
  );
});

describe("the lists", () => {
  it("take hosts", () => {
    expect(["NAS.local", "nas:80", "[::1]:80", "10.0.0.1"].map(parseAllowedHost)).toEqual([
      "nas.local",
      "nas:80",
      "[::1]:80",
      "10.0.0.1",
    ]);
    for (const bad of ["", "http://nas", "nas/x", "*", "*.nas", "a b", "::1", "nas:", "u@nas"])
      expect(() => parseAllowedHost(bad)).toThrow();
  });

  it("take origins", () => {
    expect(
      [
        "https://App.example/",
        "http://a:80",
        "https://a:443",
        "https://a:80",
        "tauri://localhost",
        "http://[::1]:3000",
      ].map(parseAllowedOrigin),
    ).toEqual([
      "https://app.example",
      "http://a",
      "https://a",
      "https://a:80",
      "tauri://localhost",
      "http://[::1]:3000",
    ]);
    for (const bad of [
      "",
      "*",
      "null",
      "app.example",
      "https://",
      "https://a/b",
      "https://*.a",
      "https://u@a",
      "https://a?b",
    ]) {
      expect(() => parseAllowedOrigin(bad)).toThrow();
    }
  });
});
