import { basename, extname, resolve } from "node:path";
import { isSourceKey, isTrackId } from "../../http/track-path.ts";
import type { CommandSpec } from "../command.ts";
import { Complaints } from "../complaints.ts";
import { imported as importedShape } from "../control/answers.ts";
import { one, text } from "../flags.ts";
import type { Io } from "../io.ts";
import { type Owner, withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { UsageError } from "../problems.ts";
import { flags } from "../serve-settings.ts";
import { count, formatSize } from "../terminal/format.ts";
import { LiveRegion } from "../terminal/live-region.ts";
import { screenOf } from "../terminal/screen.ts";
import { plain } from "../terminal/width.ts";
import { written } from "../track-id.ts";
import { audioFiles, type Found } from "./audio-files.ts";

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
  notes:
    "A file's id is its name without the extension. In folders, what is not named as\n" +
    "audio is skipped. Exits 1 if any file was refused; the others are taken.",
  async run(input, io) {
    const named = input.given(source.name).at(-1);
    if (named !== undefined && !isSourceKey(named)) {
      throw new UsageError(`--source: ${JSON.stringify(named)} is not a source's name.`);
    }
    const others = { ...input, given: (flag: string) => (flag === source.name ? [] : input.given(flag)) };
    const settings = await ownerSettings(others, io.env, { fetches: false, stores: true });
    await withOwner(settings, io, async (owner, signal) => {
      const run = new ImportRun(owner, io, { into: named ?? owner.defaultSource, quiet: settings.json });
      try {
        for (const path of input.args.map((given) => resolve(io.cwd, given))) {
          for await (const found of audioFiles(path, owner.about.budget)) {
            signal.throwIfAborted();
            await run.take(found);
          }
        }
      } finally {
        run.end();
      }
      const { imported, skipped, complaints } = run;
      const total = imported.reduce((sum, { bytes }) => sum + bytes, 0);
      const outcome = settings.json
        ? JSON.stringify({ imported, skipped, failed: complaints.all })
        : screenOf(io.stdout, io.env).dim(`${count(imported.length, "file")} imported, ${formatSize(total)}`);
      io.stdout.write(`${outcome}\n`);
      complaints.end();
    });
  },
};

/** What has become of the files so far. */
class ImportRun {
  readonly #owner: Owner;
  readonly #io: Io;
  readonly #into: string;
  readonly #quiet: boolean;
  readonly #region: LiveRegion | undefined;
  /** Files by id. */
  readonly #taken = new Map<string, string>();
  readonly complaints: Complaints;
  readonly imported: { file: string; key: string; bytes: number }[] = [];
  readonly skipped: { file: string; why: string }[] = [];

  constructor(owner: Owner, io: Io, { into, quiet }: { readonly into: string; readonly quiet: boolean }) {
    this.#owner = owner;
    this.#io = io;
    this.#into = into;
    this.#quiet = quiet;
    this.#region = screenOf(io.stdout, io.env).live && !quiet ? new LiveRegion(io.stdout) : undefined;
    this.complaints = new Complaints(io);
  }

  async take(found: Found): Promise<void> {
    const { kind, file } = found;
    if (kind === "audio") return await this.#import(file, found.size);
    if (kind === "refused") return this.#refuse(file, found.code, found.why);
    if (found.named) return this.#refuse(file, "skipped", found.why);
    this.skipped.push({ file, why: found.why });
    this.#tell(`skipped ${plain(file)}: ${found.why}`);
  }

  /** Takes away what is only of the moment. */
  end(): void {
    this.#region?.clear();
  }

  async #import(file: string, size: number): Promise<void> {
    const id = basename(file, extname(file)).normalize();
    if (!isTrackId(id)) return this.#refuse(file, "bad-request", "its name is no id: 1 to 200 characters, no controls");
    const other = this.#taken.get(id);
    // Named twice, by itself and by its folder.
    if (other === file) return;
    if (other !== undefined) return this.#refuse(file, "duplicate", `it has the same name as ${other}`);
    this.#taken.set(id, file);
    this.#region?.show([`importing ${plain(basename(file))}, ${formatSize(size)}…`]);
    const body = { file, source: this.#into, id };
    await this.complaints.guard(file, async () => {
      const { key, bytes } = await this.#owner.json({ method: "POST", path: "/control/import", body }, importedShape);
      this.imported.push({ file, key, bytes });
      this.#tell(`imported ${written(key, this.#owner.defaultSource)}, ${formatSize(bytes)}`);
    });
  }

  #refuse(file: string, code: string, why: string): void {
    this.#region?.clear();
    this.complaints.add(file, code, why);
  }

  #tell(line: string): void {
    if (this.#quiet) return;
    if (this.#region === undefined) this.#io.stdout.write(`${line}\n`);
    else this.#region.print(line);
  }
}
