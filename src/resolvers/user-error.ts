import { AfterbayError, isAfterbayError } from "../errors.ts";

const MAX_MESSAGE_LENGTH = 200;

/** The codes that a user's resolver may say of a track; all else it throws is taken for a failure that may pass. */
const CODES = ["not-found", "unplayable", "url-refused"] as const;

/**
 * What a resolver that a user wrote threw, as an AfterbayError: one as it is; what has the `code` `not-found`, `unplayable`
 * or `url-refused` with its words, made presentable; everything else as `transient`, with `otherwise` for words.
 */
export function fromUserError(error: unknown, otherwise: string): AfterbayError {
  if (isAfterbayError(error)) return error;
  const said = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  const code = CODES.find((each) => each === said);
  if (code === undefined) return new AfterbayError("transient", otherwise, { cause: error });
  const words = presentable(error instanceof Error ? error.message : "");
  return new AfterbayError(code, words === "" ? "The resolver says no more" : words, { cause: error });
}

/** Words from outside that are shown to users, in terminals too: one line of at most 200 characters, without addresses. */
export function presentable(message: string): string {
  const words = message
    .replace(/[a-z][a-z0-9+.-]*:\/\/\S*/gi, "(address removed)")
    .replace(/[\p{Cc}\p{Cs}\s]+/gu, " ")
    .trim();
  return Array.from(words).slice(0, MAX_MESSAGE_LENGTH).join("");
}
