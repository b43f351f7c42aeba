export interface Report {
  testResults: {
    name: string;
    status: string;
    assertionResults: { ancestorTitles: string[]; title: string; status: string }[];
  }[];
}
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  skippedSuites: { file: string; suite: string }[];
}
export function count(report: Report): Counts;
export function summary(counts: Pick<Counts, "passed" | "failed" | "skipped">): string;
