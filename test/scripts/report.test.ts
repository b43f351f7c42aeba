import { describe, expect, it } from "vitest";
import { count, summary } from "../../scripts/lib/report.mjs";

function file(name: string, status: string, ...tests: [suite: string, status: string][]) {
  const assertionResults = tests.map(([suite, result]) => ({
    ancestorTitles: suite.split(" > "),
    title: "does",
    status: result,
  }));
  return { name, status, assertionResults };
}

describe("the line at the end of a test run", () => {
  it("counts what passed and failed", () => {
    const counts = count({
      testResults: [file("a", "failed", ["x", "passed"], ["x", "failed"]), file("b", "passed", ["y", "passed"])],
    });
    expect(summary(counts)).toBe("2 passed, 1 failed");
  });

  it("counts a file that did not load as a failure", () => {
    expect(summary(count({ testResults: [file("a", "failed"), file("b", "passed", ["y", "passed"])] }))).toBe(
      "1 passed, 1 failed",
    );
  });

  it("counts a file whose hook threw, though all its tests passed", () => {
    expect(summary(count({ testResults: [file("a", "failed", ["x", "passed"])] }))).toBe("1 passed, 1 failed");
  });

  it("names the suites that ran nothing, and never counts them as passed", () => {
    const counts = count({
      testResults: [
        file(
          "a",
          "passed",
          ["mpv", "skipped"],
          ["mpv", "pending"],
          ["x", "passed"],
          ["x", "todo"],
          ["x > y", "skipped"],
        ),
      ],
    });
    expect(counts.skippedSuites).toEqual([
      { file: "a", suite: "mpv" },
      { file: "a", suite: "x > y" },
    ]);
    expect(summary(counts)).toBe("1 passed, 0 failed, 4 skipped");
  });
});
