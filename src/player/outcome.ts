/** What became of the last request that a player made for one start of a track, as the proxy knows it. */
export interface RequestOutcome {
  /** All was sent; the player left; cut after the headers; answered with an error; still going on. */
  readonly outcome: "open" | "complete" | "left" | "cut" | "failed";
  readonly status?: number;
  /** Of the error, where it was `cut` or `failed`: `not-found`, `offline`, … */
  readonly code?: string;
  /** After which another try makes sense. */
  readonly retryAfterMs?: number;
}

/**
 * Players hide why a track could not be opened or broke off. So each start of a track has a name of its own, which the
 * player sends along as `?play=`, and the proxy is asked what it answered. Undefined: it knows of no such request, or
 * cannot be asked.
 */
export type OutcomeOf = (play: string) => RequestOutcome | undefined | Promise<RequestOutcome | undefined>;
