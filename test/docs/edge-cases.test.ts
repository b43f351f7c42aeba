import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(`${root}docs/edge-cases.md`, "utf8");
const rows = [...page.matchAll(/^\| ([VUCSDA]\d+) +\|.*\| ([^|]+) \|$/gm)].map(([, row, tests]) => ({
  row: row as string,
  files: [...(tests as string).matchAll(/`([^`]+)`/g)].map(([, file]) => file as string),
}));
const counts = { V: 7, U: 17, C: 9, S: 7, D: 8, A: 5 };

describe("the table of edge cases", () => {
  it("has every row once", () => {
    const expected = Object.entries(counts).flatMap(([group, count]) =>
      Array.from({ length: count }, (_, n) => `${group}${n + 1}`),
    );
    expect(rows.map(({ row }) => row)).toEqual(expected);
  });

  it.each(rows)("$row is held by a test of its name in each file it points to", ({ row, files }) => {
    expect(files).not.toEqual([]);
    for (const file of files) {
      expect(existsSync(root + file), file).toBe(true);
      const named = new RegExp(`(?:test|it|describe)(?:\\.\\w+(?:\\([^)]*\\))?)*\\(\\s*["'\`]${row}\\b`);
      expect(named.test(readFileSync(root + file, "utf8")), `${row} in ${file}`).toBe(true);
    }
  });
});
