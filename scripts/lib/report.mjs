/**
 * Counts vitest's JSON report. A file that failed without a failed test of its own (it did not load, a hook threw)
 * counts as one failure: nothing that went wrong may hide behind "0 failed". `skippedSuites` names each suite
 * that has tests of its own and ran none.
 */
export function count(report) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const skippedSuites = [];
  for (const file of report.testResults) {
    const suites = new Map();
    let failedHere = 0;
    for (const test of file.assertionResults) {
      const name = test.ancestorTitles.filter((title) => title !== "").join(" > ");
      const ran = test.status === "passed" || test.status === "failed";
      suites.set(name, (suites.get(name) ?? false) || ran);
      if (test.status === "passed") passed++;
      else if (test.status === "failed") failedHere++;
      else skipped++;
    }
    if (file.status === "failed" && failedHere === 0) failedHere = 1;
    failed += failedHere;
    for (const [suite, ran] of suites) {
      if (!ran) skippedSuites.push({ file: file.name, suite });
    }
  }
  return { passed, failed, skipped, skippedSuites };
}

/** The last line of a test run. */
export function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
