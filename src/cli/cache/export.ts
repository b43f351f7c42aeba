import { open, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { CommandSpec } from "../command.ts";
import { naming } from "../complaints.ts";
import { type StoredFile, storedFile } from "../control/answers.ts";
import { one, text, toggle } from "../flags.ts";
import { trackUrl, withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { formatSize } from "../terminal/format.ts";
import { plain } from "../terminal/width.ts";
import { idHelp, keyOf, written } from "../track-id.ts";
import { extensionOf, sniff, SNIFF_BYTES } from "./audio-types.ts";
import { fileName } from "./file-name.ts";
import { placeFile } from "./place-file.ts";

const output = one(
  text,
  {
    name: "output",
    short: "o",
    argument: "FILE",
    help: "the file to make, or a folder for it (Artist - Title.ext, here)",
  },
  undefined,
);
const copy = toggle({ name: "copy", help: "make a copy of its own, never a hard link" });

/** `afterbay cache export ID`: a plain file that any player plays. */
export const exportTrack: CommandSpec = {
  name: "export",
  summary: "make a plain file of a track that is whole",
  argument: "<ID>",
  flags: [output, copy, ...commonFlags],
  notes:
    `${idHelp}\n\nWithin one file system the file is a hard link and takes no room. Programs that\n` +
    "change files in place (some tag editors) would change the cached bytes too: give\nthose a --copy.",
  async run(input, io) {
    const own = [output, copy];
    const settings = await ownerSettings(input, io.env, { fetches: false, stores: false, own });
    const [id = ""] = input.args;
    await withOwner(settings, io, async (owner, signal) => {
      const key = keyOf(id, owner.defaultSource);
      const name = written(key, owner.defaultSource);
      const stored = await naming(name, () =>
        owner.json({ method: "GET", path: trackUrl("/control/file", key) }, storedFile),
      );
      const target = await targetOf(settings.read(output), key, stored, io.cwd);
      const { path: source, size } = stored;
      const linked = await placeFile({ source, target, size, copy: settings.read(copy) }, signal);
      const done = { key, file: target, bytes: size, linked };
      const words = `exported ${name} to ${plain(target)}, ${formatSize(size)}${linked ? " (a hard link)" : ""}`;
      io.stdout.write(`${settings.json ? JSON.stringify(done) : words}\n`);
    });
  },
};

/** An absolute path. */
async function targetOf(named: string | undefined, key: string, stored: StoredFile, cwd: string): Promise<string> {
  const target = resolve(cwd, named ?? ".");
  const isFolder = await stat(target).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return target;
  const id = decodeURIComponent(key.slice(key.indexOf("/") + 1));
  const { title, artist, contentType = "" } = stored;
  const extension = extensionOf(contentType) ?? (await sniffed(stored.path)) ?? "audio";
  return join(target, fileName({ title, artist, id, extension }));
}

async function sniffed(path: string): Promise<string | undefined> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    return sniff(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}
