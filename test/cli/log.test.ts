import { describe, expect, it } from "vitest";
import { createLog } from "../../src/cli/log.ts";

function logged(fields: object, message = "done", isTTY = false): string {
  let text = "";
  createLog("debug", { isTTY, write: (chunk) => (text += chunk) }).info(fields, message);
  return text;
}

describe("the log", () => {
  it("is JSON lines for programs", () => {
    expect(JSON.parse(logged({ source: "demo", status: 503 }, "retrying"))).toEqual({
      level: 30,
      time: expect.any(String),
      source: "demo",
      status: 503,
      msg: "retrying",
    });
  });

  it("is short lines for people", () => {
    expect(logged({ source: "demo", window: { start: 0 } }, "retrying", true)).toMatch(
      /^\d\d:\d\d:\d\d info {2}retrying source=demo window={"start":0}\n$/,
    );
  });

  it("leaves out what is below its level", () => {
    let text = "";
    const log = createLog("warn", { write: (chunk) => (text += chunk) });
    log.debug({}, "a");
    log.info({}, "b");
    log.warn({}, "c");
    log.error({}, "d");
    expect(
      text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).msg),
    ).toEqual(["c", "d"]);
  });

  it("is silent when told so", () => {
    let text = "";
    createLog("silent", { write: (chunk) => (text += chunk) }).error({}, "a");
    expect(text).toBe("");
  });

  const error = Object.assign(new Error("GET https://cdn.example/a?sig=HUSH failed"), { code: "transient" });
  it.each([
    ["a URL's query", { url: "https://cdn.example/a?sig=HUSH" }],
    ["a URL's path", { url: "https://cdn.example/HUSH/a" }],
    ["a URL's credentials", { url: "http://HUSH:HUSH@music.local/rest" }],
    ["a URL object", { target: new URL("https://cdn.example/a?sig=HUSH") }],
    ["a token", { token: "HUSH" }],
    ["nested headers", { request: { headers: { Authorization: "HUSH", cookie: "HUSH" } } }],
    ["a list of URLs", { urls: ["https://cdn.example/a?HUSH"] }],
    ["a bearer token in a text", { header: "Bearer HUSH" }],
    ["an assignment in a text", { line: "access_token=HUSH&x=1" }],
    ["an error", { err: error }],
    ["an error's cause", { err: new Error("failed", { cause: error }) }],
  ])("hides %s", (_name, fields) => {
    for (const isTTY of [true, false]) expect(logged(fields, "done", isTTY)).not.toContain("HUSH");
  });

  it("hides them in messages, and keeps the host", () => {
    const line = logged({}, "refused by https://cdn.example/a?sig=HUSH");
    expect(line).not.toContain("HUSH");
    expect(line).toContain("https://cdn.example/…");
    expect(logged({}, "Listening on http://127.0.0.1:8085")).toContain('http://127.0.0.1:8085"');
  });

  it("survives what refers to itself", () => {
    const loop: Record<string, unknown> = { name: "loop" };
    loop.self = loop;
    expect(logged({ loop })).toContain("loop");
  });
});
