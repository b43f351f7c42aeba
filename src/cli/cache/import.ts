import { basename, extname, resolve } from "node:path";
import { isSourceKey, isTrackId } from "../../http/track-path.ts";
import type { CommandSpec } from "../command.ts";
import { Complaints } from "../complaints.ts";
import { imported as importedShape } from "../control/answers.ts";
import { flags } from "../serve-settings.ts";
import { one, text } from "../flags.ts";
import { withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { UsageError } from "../problems.ts";
import { count, formatSize } from "../terminal/format.ts";
import { LiveRegion } from "../terminal/live-region.ts";
import { screenOf } from "../terminal/screen.ts";
import { plain } from "../terminal/width.ts";
import { written } from "../track-id.ts";
import { audioFiles } from "./audio-files.ts";

/** Of the command line alone: in the environment and in a config file, `source` names specs. */
const source = one(
  text,
  { name: "source", argument: "NAME", help: "the source they belong to (the default one)" },
  undefined,
);

/** `afterbay cache import PATH...`: takes audio files and folders of them into the cache. */
export const importFiles: CommandSpec = {
  name: "import",
  summary: "take audio files, or folders of them, into the cache",
  argument: "<PATH...>",
  flags: [source, ...commonFlags, flags.cacheSize],
  notes: "A file's id is its name without the extension. Exits 1 if any file was refused; the others are taken.",
  async run(input, io) {
    const named = input.given(source.name).at(-1);
    if (named !== undefined && !isSourceKey(named))
      throw new UsageError(`--source: ${JSON.stringify(named)} is not a source's name.`);
    const settings = await ownerSettings(
      { ...input, given: (flag) => (flag === source.name ? [] : input.given(flag)) },
      io.env,
      { fetches: false, stores: true },
    );
    const screen = screenOf(io.stdout, io.env);
    const region = screen.live && !settings.json ? new LiveRegion(io.stdout) : undefined;
    const tell = (line: string): void => {
      if (settings.json) return;
      if (region === undefined) io.stdout.write(`${line}\n`);
      else region.print(line);
    };
    await withOwner(settings, io, async (owner, signal) => {
      const into = named ?? owner.defaultSource;
      const complaints = new Complaints(io);
      const refuse = (file: string, code: string, why: string): void => {
        region?.clear();
        complaints.add(file, code, why);
      };
      const taken = new Map<string, string>();
      const imported: { file: string; key: string; bytes: number }[] = [];
      const skipped: { file: string; why: string }[] = [];
      try {
        for (const path of input.args.map((given) => resolve(io.cwd, given))) {
          for await (const found of audioFiles(path, owner.about.budget)) {
            signal.throwIfAborted();
            const { kind, file } = found;
            if (kind === "refused") {
              refuse(file, found.code, found.why);
            } else if (kind === "skipped") {
              if (found.named) refuse(file, "skipped", found.why);
              else tell(`skipped ${plain(file)}: ${found.why}`);
              skipped.push({ file, why: found.why });
            } else {
              const id = basename(file, extname(file)).normalize();
              const other = taken.get(id);
              if (!isTrackId(id))
                refuse(file, "bad-request", "its name cannot be an id: 1 to 200 characters, none of control");
              else if (other === file) continue;
              else if (other !== undefined) refuse(file, "duplicate", `it has the same name as ${other}`);
              else {
                taken.set(id, file);
                region?.show([`importing ${plain(basename(file))}, ${formatSize(found.size)}…`]);
                await complaints.guard(file, async () => {
                  const body = { file, source: into, id };
                  const { key, bytes } = await owner.json(
                    { method: "POST", path: "/control/import", body },
                    importedShape,
                  );
                  imported.push({ file, key, bytes });
                  tell(`imported ${written(key, owner.defaultSource)}, ${formatSize(bytes)}`);
                });
              }
            }
          }
        }
      } finally {
        region?.clear();
      }
      const total = imported.reduce((sum, { bytes }) => sum + bytes, 0);
      if (settings.json) io.stdout.write(`${JSON.stringify({ imported, skipped, failed: complaints.all })}\n`);
      else tell(screen.dim(`${count(imported.length, "file")}, ${formatSize(total)}`));
      complaints.end();
    });
  },
};
