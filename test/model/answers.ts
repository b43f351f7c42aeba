import type { Client } from "./client.ts";

/** The public errors and their statuses, as the contract lists them. */
const STATUS: Readonly<Record<string, number>> = {
  "bad-request": 400,
  forbidden: 403,
  "not-found": 404,
  unplayable: 410,
  "variant-changed": 410,
  "upstream-failed": 502,
  offline: 503,
  busy: 503,
  "circuit-open": 503,
  "upstream-timeout": 504,
  "not-cached": 504,
  "no-space": 507,
};

const FIRST_BYTE_MS = 4000;
const HEADERS_AHEAD_MS = 3500;
const PATIENCE_MS = 20_000;

/** What is wrong with how a request was answered; nothing, if all is well. */
export function* judge(client: Client): Generator<string> {
  const { plan, original, headers, status, answered, end, received } = client;
  const about = (what: string): string =>
    `${plan.head ? "HEAD" : "GET"} ${original.name} ${JSON.stringify(headers)}: ${status} ${JSON.stringify(answered)}, ${received} bytes, ${end}: ${what}`;
  if (client.wrong !== undefined) yield about(client.wrong.message);
  yield* [...lateness(client)].map(about);
  if (client.headersAt === undefined) {
    if (end === "complete") yield about("ended without headers");
    return;
  }
  const announced = answered["content-length"];
  const body = plan.head || status === 304 ? 0 : Number(announced ?? received);
  if (received > body) yield about("more bytes than announced");
  if (end === "complete" && received !== body) yield about("fewer bytes than announced");
  if (client.isAudio) yield* [...audio(client)].map(about);
  else yield* [...refusal(client)].map(about);
}

function* lateness({ plan, end, endedAt = 0, headersAt, firstByteAt, isAudio }: Client): Generator<string> {
  if (end === "killed" || end === "left") return;
  const answeredAt = headersAt ?? endedAt;
  if (answeredAt > FIRST_BYTE_MS) yield `nothing for ${answeredAt} ms`;
  if (plan.offline && answeredAt > 2000) yield `took ${answeredAt} ms without the network`;
  if (isAudio && (firstByteAt ?? endedAt) > PATIENCE_MS) yield `no byte for ${firstByteAt ?? endedAt} ms`;
}

function* audio(client: Client): Generator<string> {
  const { plan, original, headers, status, answered, end, received, start, versions } = client;
  const told = answered["content-range"];
  const length = answered["content-length"];
  const size = told === undefined ? (length === undefined ? undefined : Number(length)) : Number(told.split("/")[1]);
  if ((status === 206) !== (told !== undefined)) yield "206 without Content-Range, or the other way round";
  if (status === 206) {
    const [from, to] = (/^bytes (\d+)-(\d+)\/\d+$/.exec(told ?? "") ?? []).slice(1).map(Number);
    const asked = resolved(headers["range"] ?? "", size ?? 0);
    if (asked === undefined || from !== asked.start || to !== asked.end - 1) yield "another range than was asked for";
    if (Number(length) !== (to ?? 0) - (from ?? 0) + 1) yield "Content-Length is not the range's";
  }
  if (
    status === 200 &&
    plan.range !== undefined &&
    headers["if-range"] === undefined &&
    size !== undefined &&
    !plan.head
  ) {
    const single = plan.range.kind !== "several" && plan.range.kind !== "nonsense";
    if (single && resolved(headers["range"] ?? "", size) !== undefined) yield "the range was ignored";
  }
  // A player that would give up is told what the resolver says, before the upstream has named its bytes.
  const hinted = (client.headersAt ?? 0) >= HEADERS_AHEAD_MS;
  if ((answered["etag"] === undefined) !== (size === undefined) && !hinted)
    yield "an ETag without a size, or the other way round";
  if (end !== "complete" || plan.head || versions === undefined || original.mayBeCutShort) return;
  const sizes = new Set(versions.flatMap((version) => [...version.sizes]));
  const whole = size ?? received;
  if (start + received > whole) yield "beyond the end";
  if (!sizes.has(whole)) yield `as if the size were ${whole}, which is none of ${[...sizes].join(", ")}`;
}

/** A range header as the RFC reads it; undefined where it cannot be satisfied or means nothing. */
function resolved(range: string, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(range);
  if (match === null || size === 0) return undefined;
  const [first, last] = [match[1] ?? "", match[2] ?? ""];
  if (first === "") return Number(last) === 0 ? undefined : { start: Math.max(0, size - Number(last)), end: size };
  const start = Number(first);
  if (start >= size || (last !== "" && Number(last) < start)) return undefined;
  return { start, end: last === "" ? size : Math.min(size, Number(last) + 1) };
}

function* refusal({ plan, headers, status, answered, text, end, original }: Client): Generator<string> {
  if (status === 416) {
    const size = /^bytes \*\/(\d+)$/.exec(answered["content-range"] ?? "")?.[1];
    if (size === undefined) yield "416 without a size";
    else if (resolved(headers["range"] ?? "", Number(size)) !== undefined) yield "a range that can be had was refused";
    return;
  }
  if (status === 304 || status === 412) {
    yield "no precondition was asked for";
    return;
  }
  if (answered["content-type"] !== "application/problem+json") yield "an error that is no problem";
  if (plan.head || end !== "complete") return;
  const problem = JSON.parse(text) as { code?: string; status?: number };
  if (problem.status !== status || STATUS[problem.code ?? ""] !== status) yield `${status} for ${text}`;
  if (status === 503 && answered["retry-after"] === undefined) yield "503 without Retry-After";
  if (problem.code === "not-cached" && !plan.offline) yield "the network was not asked";
  if (problem.code === "variant-changed" && original.isSteady) yield "nothing has changed";
}
