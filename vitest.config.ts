import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Suites with a process for each file: they count handles or memory, replace modules, or drive programs. The others share
 * one process a worker, since loading everything anew for each file would cost a third of the time of all tests.
 */
const ALONE = [
  "test/cache/track-index.test.ts",
  "test/cli/**/*.test.ts",
  "test/crash/**/*.test.ts",
  "test/doors/**/*.test.ts",
  "test/http/event-stream.test.ts",
  "test/library/**/*.test.ts",
  "test/load/**/*.test.ts",
  "test/model/**/*.test.ts",
  "test/players/**/*.test.ts",
  "test/proxy/{clients,disk,doors}.test.ts",
  "test/resolvers/folder/open-inside.test.ts",
];
/** Those that take longest begin first, so that no worker is left with one of them at the end. */
const LONG = /test\/(players\/|crash\/|model\/|doors\/|load\/|cli\/play\.|cli\/main\.|proxy\/|chaos\/|player\/)/;

/** A process that is shared ends when a file that must be alone is next: those go first. */
class AloneFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ project, moduleId }: TestSpecification): number =>
      (project.name === "alone" ? 0 : 2) + (LONG.test(moduleId) ? 0 : 1);
    // oxlint-disable-next-line unicorn/no-array-sort -- it is vitest's own order, not an array's
    const usual = await super.sort(files);
    return usual.toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 3,
    sequence: { sequencer: AloneFirst },
    projects: [
      { extends: true, test: { name: "alone", include: ALONE } },
      {
        extends: true,
        test: { name: "shared", include: ["test/**/*.test.ts"], exclude: ALONE, isolate: false },
      },
    ],
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
