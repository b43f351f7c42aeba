import { redactText } from "../redact.ts";

const secretName = /token|password|passwd|secret|authorization|cookie|signature|api-?key|credential/i;
const DEPTH = 4;

/** A copy of a log line's fields that is fit to be written down. */
export function redactFields(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [name, redactField(name, value, DEPTH)]),
  );
}

function redactField(name: string, value: unknown, depth: number): unknown {
  if (secretName.test(name)) return "…";
  if (typeof value === "string") return redactText(value);
  if (value instanceof URL) return redactText(value.href);
  if (value instanceof Error) return redactError(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "…";
  if (Array.isArray(value)) return value.map((item: unknown) => redactField("", item, depth - 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]: [string, unknown]) => [key, redactField(key, inner, depth - 1)]),
  );
}

function redactError(error: Error): Record<string, unknown> {
  const code: unknown = Reflect.get(error, "code");
  return {
    type: error.name,
    message: redactText(error.message),
    ...(typeof code === "string" && { code }),
    ...(error.stack !== undefined && { stack: redactText(error.stack) }),
    ...(error.cause instanceof Error && { cause: redactText(error.cause.message) }),
  };
}
