import { AfterbayError, isAfterbayError } from "../errors.ts";
import type { DataSource, DataSpec } from "./data-source.ts";
import type { ResolveReason } from "./resolution.ts";
import { openResuming } from "./resuming.ts";

/** Times that another URL is asked for without a byte in between. */
const MAX_REFRESHES = 2;

/** Asks for another URL when one is refused or answers with something else, and goes on at the next byte. */
export function refreshing(upstream: DataSource): DataSource {
  return {
    open: (spec: DataSpec, { signal }) =>
      openResuming(upstream, spec, signal, async (error) => {
        if (!isAfterbayError(error, "url-refused", "wrong-answer", "unnamed", "range-refused")) throw error;
        if (spec.need.refreshes >= MAX_REFRESHES) throw error.code === "unnamed" ? nameless(error) : error;
        spec.need.refreshes += 1;
        const { status } = error;
        const reason = reasonOf(error);
        spec.need.reason = reason;
        spec.need.tell({
          event: "refresh",
          refresh: spec.need.refreshes,
          reason,
          code: error.code,
          ...(status === undefined ? {} : { status }),
        });
      }),
  };
}

/** Whatever URL is asked, nothing says any more that these bytes belong to those that are here: they begin anew. */
function nameless(cause: AfterbayError): AfterbayError {
  return new AfterbayError("variant-changed", "The upstream no longer says which version it serves", { cause });
}

function reasonOf(error: AfterbayError): ResolveReason {
  if (error.code !== "url-refused") return "mismatch";
  return error.status === 404 || error.status === 410 ? "not-found" : "forbidden";
}
