import type { ResolveReason } from "./resolution.ts";

/**
 * The tries spent on one hole that someone wants. The layers that retry and refresh share it, so that their budgets
 * hold together; any byte that arrives starts them afresh.
 */
export class Need {
  /** Retries after a transient failure, without a byte since. */
  retries = 0;
  /** Times another URL was asked for because one was refused, without a byte since. */
  refreshes = 0;
  /** Why the resolver is asked next. */
  reason: ResolveReason = "first";

  /** Milliseconds that the resolver took, if it was asked. */
  resolveMs: number | undefined;

  /** What failed last without a byte since: the reason to give when there is no more time to wait. */
  lastFailure: unknown;

  /** Counts from 1: the number of this try as the resolver sees it. */
  get attempt(): number {
    return this.refreshes + 1;
  }

  /** A byte arrived. */
  progress(): void {
    this.retries = 0;
    this.refreshes = 0;
    this.reason = "first";
    this.lastFailure = undefined;
  }
}
