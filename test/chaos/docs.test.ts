import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startChaos } from "../../src/chaos/index.ts";
import { type ChaosRig, startChaosRig } from "./chaos-rig.ts";

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const page = readFileSync(at("docs/chaos.md"), "utf8");
const example: unknown = JSON.parse(readFileSync(at("examples/chaos.json"), "utf8"));

/** The examples that stand first in the rows of a section's table. */
function examples(heading: string): string[] {
  const section = page.split(/^#+ /m).find((one) => one.startsWith(`${heading}\n`)) ?? "";
  return Array.from(section.matchAll(/^\| `(\{.*?\})` +\|/gm), ([, text = ""]) => text);
}

/** What a script may say in a place, from the complaint about what it may not. */
async function known(script: unknown): Promise<string[]> {
  const complaint = await startChaos({ script, directory: "/", onFault: () => {} }).then(
    () => "",
    (error: unknown) => String(error),
  );
  const [, names = ""] = complaint.split(/known here are |is not one of /);
  expect(names).not.toBe("");
  return names.replaceAll('"', "").split(", ");
}

const faults = examples("Faults");
const answers = examples("The resolver");
const keysOf = (texts: readonly string[]): Set<string> =>
  new Set(texts.flatMap((text) => Object.keys(JSON.parse(text) as object)));

let rig: ChaosRig;
beforeAll(async () => {
  const size = 300_000;
  const tracks = Object.fromEntries(
    faults.map((text, n) => [`fault-${n}`, { size, faults: [{ do: JSON.parse(text) }] }]),
  );
  const resolvers = answers.map((text, n) => [`answer-${n}`, { size, resolve: [{ do: JSON.parse(text) }] }] as const);
  rig = await startChaosRig({ tracks: { plain: { size }, ...tracks, ...Object.fromEntries(resolvers) } });
});
afterAll(() => rig.close());

/** What never answers is given up soon; all else may take its time. */
const patience = (text: string): object => (/stall|hang/.test(text) ? { signal: AbortSignal.timeout(150) } : {});

/** All that can be seen of an answer, but for the bytes that each track has of its own. */
async function seen(path: string, more: object = {}): Promise<object | string> {
  const began = rig.now();
  const options = { headers: { range: "bytes=1000-279999" }, ...more };
  const got = await rig.get(path, options).catch((error: unknown) => String(error));
  if (typeof got === "string") return got.replace(/\d+/g, "N");
  const { etag, date: _date, ...headers } = got.headers;
  const { status, complete, extraBytes, errorCode, body } = got;
  const waitedMs = rig.now() - began;
  return {
    status,
    headers,
    hasTag: etag !== undefined,
    complete,
    extraBytes,
    errorCode,
    length: body.length,
    waitedMs,
  };
}

describe("docs/chaos.md", () => {
  test("has every key of a fault and of the resolver", async () => {
    const wrong = { do: { nonsense: 1 } };
    expect(keysOf(faults)).toEqual(new Set(await known({ tracks: { a: { faults: [wrong] } } })));
    expect(keysOf(answers)).toEqual(new Set(await known({ tracks: { a: { resolve: [wrong] } } })));
    for (const key of await known({ tracks: { a: { nonsense: 1 } } })) expect(page).toContain(`\`${key}\``);
    for (const key of await known({ tracks: { a: { faults: [{ when: { nonsense: 1 } }] } } })) {
      expect(page).toContain(`\`${key}\``);
    }
    const kinds = await known({ faults: { random: { kinds: ["nonsense"] } }, tracks: { a: {} } });
    const [, paragraph = ""] = page.split("The kinds, all by default:");
    for (const kind of kinds) expect(paragraph.slice(0, 500)).toContain(`\`${kind}\``);
  });

  test.each(faults)("%s does something", async (text) => {
    const n = faults.indexOf(text);
    // Other bytes look like any: the log names their version.
    if (text === '{"version": 2}') {
      await rig.get(`/fault-${n}`);
      expect(await rig.json(`/chaos/log?track=fault-${n}`)).toMatchObject({ entries: [{ version: 2 }] });
    } else {
      expect(await seen(`/fault-${n}`, patience(text))).not.toEqual(await seen("/plain"));
    }
  });

  test.each(answers)("%s is done by the resolver", async (text) => {
    const answer = async (id: string): Promise<unknown> => {
      const began = rig.now();
      const got = await rig
        .get(`/resolve/${id}`, id === "plain" ? {} : patience(text))
        .catch((error: unknown) => ({ error: String(error) }));
      if ("error" in got) return got;
      const body = Buffer.from(got.body)
        .toString()
        .replaceAll(/\/[\w-]+\?sig=\w+/g, "/URL");
      return { status: got.status, retryAfter: got.headers["retry-after"], body, waitedMs: rig.now() - began };
    };
    expect(await answer(`answer-${answers.indexOf(text)}`)).not.toEqual(await answer("plain"));
  });

  test("each script on it, and the example, is right", async () => {
    const scripts = Array.from(page.matchAll(/^```json\n(.*?)^```/gms), ([, text = ""]) => JSON.parse(text) as unknown);
    expect(scripts.length).toBeGreaterThan(1);
    for (const script of [...scripts, example]) {
      const chaos = await startChaos({ script, directory: "/", onFault: () => {} });
      await chaos.close();
    }
  });
});
