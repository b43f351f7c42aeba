import { defineConfig } from "vitest/config";

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

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
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
