import { redactText } from "../redact.ts";
import type { Playback, PlaybackEvent } from "./playback.ts";
import type { Outcome, RequestLog, ServedBytes } from "./request-log.ts";

/**
 * Playbacks as `GET /api/sessions` answers them; `docs/http-api.md` has the meaning of each field. `at` is ms since
 * the playback began, to a tenth; negative for what was begun before it, for others. What goes on lacks its end.
 */
export interface SessionReport {
  readonly id: number;
  /** `source/id`, each part percent-encoded. */
  readonly key: string;
  readonly play?: string;
  readonly client: { readonly address: string; readonly agent: string };
  /** ISO 8601. */
  readonly startedAt: string;
  /** Until its last request ended. */
  readonly durationMs?: number;
  /** Of its open request if there is one, else of the last. */
  readonly outcome: Outcome;
  readonly status?: number;
  readonly code?: string;
  readonly retryAfterMs?: number;
  readonly bytes: ServedBytes;
  readonly counts: Readonly<Record<"resolves" | "windows" | "retries" | "refreshes" | "joins", number>>;
  readonly requests: readonly RequestReport[];
  readonly events: readonly EventReport[];
  /** What was left out of the middle of both lists. */
  readonly dropped: { readonly requests: number; readonly events: number };
}

export interface RequestReport {
  readonly id: number;
  readonly at: number;
  readonly method: string;
  readonly range?: string;
  readonly quality?: string;
  readonly offline?: true;
  readonly conditional?: readonly string[];
  readonly variant?: string;
  readonly contentType?: string;
  /** Of the track, bytes. */
  readonly size?: number;
  readonly status?: number;
  /** Bytes [start, end) that were announced. */
  readonly start?: number;
  readonly end?: number;
  readonly cache?: "hit" | "partial" | "miss";
  /** Since the request came: until its headers went out, its first byte was there, and it was over. */
  readonly headersMs?: number;
  readonly firstByteMs?: number;
  readonly durationMs?: number;
  readonly bytes: ServedBytes;
  readonly outcome: Outcome;
  readonly code?: string;
}

/** A {@link PlaybackEvent}, with the request that it happened to. */
export type EventReport = { readonly at: number; readonly request: number } & Readonly<Record<string, unknown>>;

const MAX_LENGTH = 100;

export function describePlayback(playback: Playback, key: string): SessionReport {
  const { id, play, client, beganAt, endedAt, requests, events, counts } = playback;
  const all = [...requests];
  const decisive = all.findLast(({ outcome }) => outcome === "open") ?? all.at(-1);
  return {
    id,
    key,
    ...defined({ play }),
    client: { address: client.address, agent: shown(client.agent) },
    startedAt: new Date(playback.beganWall).toISOString(),
    ...defined({ durationMs: endedAt === undefined ? undefined : tenths(endedAt - beganAt) }),
    outcome: decisive?.outcome ?? "open",
    ...defined({ status: decisive?.answer?.status, code: decisive?.code, retryAfterMs: decisive?.retryAfterMs }),
    bytes: playback.bytes,
    counts: { ...counts },
    requests: all.map((log) => describeRequest(log, beganAt)),
    events: [...events].map(({ request, event }) => describeEvent(request, event, beganAt)),
    dropped: { requests: requests.dropped, events: events.dropped },
  };
}

function describeRequest(log: RequestLog, beganAt: number): RequestReport {
  const { asked, variant, answer, cameAt } = log;
  const since = (at: number | undefined): number | undefined => (at === undefined ? undefined : tenths(at - cameAt));
  return {
    id: log.id,
    at: tenths(cameAt - beganAt),
    method: asked.method,
    ...(asked.range === undefined ? {} : { range: shown(asked.range) }),
    ...defined({ quality: asked.quality }),
    ...(asked.offline ? { offline: true } : {}),
    ...(asked.conditional.length === 0 ? {} : { conditional: asked.conditional }),
    ...(variant === undefined
      ? {}
      : {
          variant: shown(variant.name),
          ...(variant.contentType === undefined ? {} : { contentType: shown(variant.contentType) }),
          ...defined({ size: variant.size }),
        }),
    ...answer,
    ...defined({
      headersMs: since(log.headersAt),
      firstByteMs: since(log.firstByteAt),
      durationMs: since(log.endedAt),
    }),
    bytes: log.bytes,
    outcome: log.outcome,
    ...defined({ code: log.code }),
  };
}

function describeEvent(request: number, { at, ...event }: PlaybackEvent, beganAt: number): EventReport {
  const fields = Object.entries(event).map(([name, value]): [string, unknown] => [name, shownField(name, value)]);
  return { at: tenths(at - beganAt), request, ...Object.fromEntries(fields) };
}

function shownField(name: string, value: unknown): unknown {
  if (typeof value === "number" && /ms$/i.test(name)) return tenths(value);
  return name === "from" || name === "to" ? shown(String(value)) : value;
}

/** What a client, a source or an upstream said may hold anything. */
function shown(text: string): string {
  const plain = redactText(text.replace(/[^\x21-\x7e]+/g, " "));
  return plain.length <= MAX_LENGTH ? plain : `${plain.slice(0, MAX_LENGTH)}…`;
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** Without what is undefined. */
function defined<Fields extends object>(fields: Fields): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as typeof fields;
}
