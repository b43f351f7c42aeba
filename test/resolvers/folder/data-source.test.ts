import { beforeEach, expect, it } from "vitest";
import type { DataSource } from "../../../src/data-source/data-source.ts";
import { createFolder, folderDataSource } from "../../../src/resolvers/folder/folder.ts";
import { never, specOf } from "../../data-source/fakes.ts";
import { describeDataSourceContract } from "../../helpers/data-source-contract.ts";
import { openFiles } from "../../helpers/process.ts";
import { bytesOf } from "../../helpers/scripted-upstream.ts";
import { makeLibrary, tagsRead, wav } from "./library.ts";

async function songFixture() {
  const library = await makeLibrary();
  const bytes = wav({ samples: bytesOf(1, "song", 1, 0, 300_000) });
  const path = await library.add("song.wav", bytes);
  const folder = await library.open();
  const [track] = await tagsRead(folder);
  const id = track?.id ?? "";
  const source: DataSource = folderDataSource(folder.local);
  return { path, source, bytes, spec: (wanted: object) => specOf({ id, ...wanted }), close: () => library.close() };
}

describeDataSourceContract("a folder", songFixture);

let fixture: Awaited<ReturnType<typeof songFixture>>;
beforeEach(async () => {
  fixture = await songFixture();
  return () => fixture.close();
});

/** Only where the system tells: elsewhere nothing is seen to be open. */
const open = (): number => openFiles()?.filter((path) => path === fixture.path).length ?? 0;

it("knows size, type and variant before a byte is read", async () => {
  await using opened = await fixture.source.open(fixture.spec({ position: 10 }), { signal: never });
  expect(opened).toMatchObject({ start: 10, ranged: true, size: fixture.bytes.length, contentType: "audio/wav" });
  expect(opened.variant).toMatch(/^[0-9a-z]+-[0-9a-z]+$/);
});

it("refuses to add to another variant or size, and closes the file", async () => {
  for (const expectation of [{ variant: "other" }, { size: 1 }]) {
    const opening = fixture.source.open(fixture.spec({ expect: expectation }), { signal: never });
    await expect(opening).rejects.toMatchObject({ code: "variant-changed" });
  }
  expect(open()).toBe(0);
});

it("holds one file open from opening to disposal, to the end of the body, or to its being left", async () => {
  const { source, spec } = fixture;
  const untouched = await source.open(spec({}), { signal: never });
  if (openFiles() !== undefined) expect(open()).toBe(1);
  await untouched[Symbol.asyncDispose]();
  expect(open()).toBe(0);

  const whole = await source.open(spec({}), { signal: never });
  for await (const piece of whole.body) expect(piece.length).toBeLessThanOrEqual(65_536);
  expect(open()).toBe(0);

  const left = await source.open(spec({}), { signal: never });
  for await (const _ of left.body) break;
  expect(open()).toBe(0);
});

it("closes the file when the client leaves, during an open as well as between reads", async () => {
  const { source, spec } = fixture;
  const reason = new Error("left");
  const early = new AbortController();
  const opening = source.open(spec({}), { signal: early.signal });
  early.abort(reason);
  await expect(opening).rejects.toBe(reason);

  const late = new AbortController();
  const opened = await source.open(spec({}), { signal: late.signal });
  const body = opened.body[Symbol.asyncIterator]();
  await body.next();
  const pending = body.next();
  late.abort(reason);
  await expect(pending).rejects.toBe(reason);
  await opened[Symbol.asyncDispose]();
  await expect.poll(open).toBe(0);
});

it("ends what is open when the folder is closed, and opens nothing after", async () => {
  const library = await makeLibrary();
  const path = await library.add("song.mp3", new Uint8Array(200_000));
  const folder = await createFolder(library.path);
  const [track] = await folder.list();
  const file = await folder.local.open(track?.id ?? "", { signal: never });
  const bytes = file.read(0, file.size)[Symbol.asyncIterator]();
  await bytes.next();
  await folder.close();
  await folder.close();
  expect(openFiles() ?? []).not.toContain(path);
  await expect(bytes.next()).rejects.toThrow("closed");
  await expect(folder.local.open(track?.id ?? "", { signal: never })).rejects.toThrow("closed");
  await library.close();
});
