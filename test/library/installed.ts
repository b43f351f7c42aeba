import { type ChildProcess, execFile, spawn } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { tmpDir } from "../helpers/process.ts";

export const run = promisify(execFile);
export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Project {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * A new project elsewhere on the disk in which the package is installed as it would be published, from its tarball. Its
 * dependencies, and `others`, come from this repository: tests need no registry.
 */
export async function installed(others: readonly string[] = []): Promise<Project> {
  const dir = await tmpDir("afterbay-project-");
  const modules = join(dir.path, "node_modules");
  const home = join(modules, "afterbay");
  await mkdir(home, { recursive: true });
  await run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", dir.path], { cwd: root });
  const [tarball = ""] = (await readdir(dir.path)).filter((name) => name.endsWith(".tgz"));
  await run("tar", ["-xzf", join(dir.path, tarball), "-C", home, "--strip-components=1"]);
  const manifest = JSON.parse(await readFile(join(home, "package.json"), "utf8")) as { dependencies: object };
  for (const name of [...Object.keys(manifest.dependencies), ...others]) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(root, "node_modules", name), join(modules, name), "dir");
  }
  await writeFile(join(dir.path, "package.json"), JSON.stringify({ name: "consumer", type: "module", private: true }));
  await cp(join(root, "examples"), join(dir.path, "examples"), { recursive: true });
  return dir;
}

/** A program of a project while it runs. */
export interface Program {
  readonly child: ChildProcess;
  /** The next line on its stdout; rejects with its stderr if it ends first. */
  line(): Promise<string>;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

export function start(project: Project, args: readonly string[], env: Readonly<Record<string, string>>): Program {
  const child = spawn(process.execPath, args, { cwd: project.path, env: { ...process.env, ...env } });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  return {
    child,
    async line() {
      const next = await lines.next();
      if (next.done === true) throw new Error(`It ended: ${errors}`);
      return next.value;
    },
    ended: new Promise((resolve) => child.once("close", resolve)),
  };
}
