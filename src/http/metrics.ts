import { readdir } from "node:fs/promises";
import type { FlightRecorder } from "../sessions/flight-recorder.ts";
import type { Histogram } from "../sessions/histogram.ts";
import type { SourceTotals, Totals } from "../sessions/totals.ts";
import type { Family, Sample } from "./prometheus.ts";

/** What is measured besides what was counted. */
export interface Gauges {
  readonly version: string;
  /** Bytes. */
  readonly cache: {
    readonly bytes: number;
    readonly diskBytes: number;
    readonly budget: number;
    readonly variants: number;
  };
  /** Upstream requests under way, and those waiting for their turn. */
  readonly upstream: { readonly active: number; readonly waiting: number };
  /** Wished-for tracks by the state of their prefetch. */
  readonly prefetch: ReadonlyMap<string, number>;
  readonly eventClients: number;
}

const FROM = ["disk", "memory", "upstream"] as const;

/** All metrics. No label has values of a client's choice: sources are those that are configured. */
export async function collectMetrics(totals: Totals, recorder: FlightRecorder, gauges: Gauges): Promise<Family[]> {
  return [
    ...players(totals, recorder),
    ...upstream(totals, gauges),
    ...cache(totals, gauges),
    ...(await processStats()),
  ];
}

function players(totals: Totals, recorder: FlightRecorder): Family[] {
  const open = [...recorder.open].map((log) => ({ of: totals.of(log.asked.source), bytes: log.bytes }));
  const openOf = (source: SourceTotals) => open.filter((log) => log.of === source);
  return [
    counter(
      "afterbay_requests_total",
      "Requests of players that have ended, by outcome and error code.",
      totals,
      (one) => [...one.requests].map(([[outcome, code], value]) => ({ labels: { outcome, code }, value })),
    ),
    histogram(
      "afterbay_first_byte_seconds",
      "From a player's request to its first byte, by where that was.",
      totals,
      ({ firstByte }) => FROM.map((from) => [{ from }, firstByte[from]] as const),
    ),
    counter("afterbay_served_bytes_total", "Bytes that players got, by where they were.", totals, (one) =>
      FROM.map((from) => ({
        labels: { from },
        value: openOf(one).reduce((sum, { bytes }) => sum + bytes[from], one.served[from]),
      })),
    ),
    {
      ...counter("afterbay_open_readers", "Requests of players that go on.", totals, (one) => [
        { value: openOf(one).length },
      ]),
      type: "gauge",
    },
  ];
}

function upstream(totals: Totals, gauges: Gauges): Family[] {
  return [
    counter("afterbay_upstream_requests_total", "Requests to upstreams that have ended, by how.", totals, (one) =>
      one.upstream().requests.map(([outcome, value]) => ({ labels: { outcome }, value })),
    ),
    counter("afterbay_upstream_bytes_total", "Bytes received from upstreams.", totals, (one) => [
      { value: one.upstream().bytes },
    ]),
    histogram(
      "afterbay_upstream_headers_seconds",
      "From a request to an upstream to its answer's headers.",
      totals,
      (one) => [[{}, one.upstreamSeconds]],
    ),
    counter("afterbay_upstream_retries_total", "Failures that were tried again.", totals, (one) => [
      { value: one.retries },
    ]),
    counter("afterbay_upstream_refreshes_total", "Addresses that were refused, and replaced.", totals, (one) => [
      { value: one.refreshes },
    ]),
    counter("afterbay_resolves_total", "Calls of resolvers, by how they ended.", totals, (one) =>
      [...one.resolves].map(([[outcome], value]) => ({ labels: { outcome }, value })),
    ),
    histogram("afterbay_resolve_seconds", "How long resolvers took.", totals, (one) => [[{}, one.resolveSeconds]]),
    gauge("afterbay_upstream_active", "Requests to upstreams under way.", gauges.upstream.active),
    gauge("afterbay_upstream_waiting", "Requests to upstreams that wait for their turn.", gauges.upstream.waiting),
  ];
}

function cache(totals: Totals, { version, cache: stored, prefetch, eventClients }: Gauges): Family[] {
  const reasons = (tally: Totals["evictions"]): Sample[] =>
    [...tally].map(([[reason], value]) => ({ labels: { reason }, value }));
  return [
    counter(
      "afterbay_stored_bytes_total",
      "Bytes written to the cache, each once; imports are among them.",
      totals,
      (one) => [{ value: one.storedBytes }],
    ),
    gauge("afterbay_cache_bytes", "Bytes of tracks stored.", stored.bytes),
    gauge("afterbay_cache_disk_bytes", "Bytes that all of the cache takes on disk.", stored.diskBytes),
    gauge("afterbay_cache_budget_bytes", "Bytes that may be on disk.", stored.budget),
    gauge("afterbay_cache_variants", "Versions of tracks of which bytes are on disk.", stored.variants),
    {
      name: "afterbay_evictions_total",
      type: "counter",
      help: "Tracks evicted, by reason.",
      samples: reasons(totals.evictions),
    },
    {
      name: "afterbay_evicted_bytes_total",
      type: "counter",
      help: "Bytes evicted, by reason.",
      samples: reasons(totals.evictedBytes),
    },
    {
      name: "afterbay_prefetch_tracks",
      type: "gauge",
      help: "Tracks on wish lists, by the state of their prefetch.",
      samples: [...prefetch].map(([state, value]) => ({ labels: { state }, value })),
    },
    gauge("afterbay_event_clients", "Clients of /api/events.", eventClients),
    { ...gauge("afterbay_build_info", "The version that runs.", 1), samples: [{ labels: { version }, value: 1 }] },
  ];
}

/** By the names that other Node.js programs use. */
async function processStats(): Promise<Family[]> {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const handles = await openHandles();
  return [
    { ...gauge("process_cpu_seconds_total", "CPU time, user and system.", (user + system) / 1e6), type: "counter" },
    gauge(
      "process_start_time_seconds",
      "When the process started, Unix time.",
      Math.round(performance.timeOrigin) / 1000,
    ),
    gauge("process_resident_memory_bytes", "Resident memory.", rss),
    ...(handles === undefined ? [] : [gauge("process_open_fds", "Open file descriptors.", handles)]),
    gauge("nodejs_heap_size_used_bytes", "JavaScript heap in use.", heapUsed),
    gauge("nodejs_heap_size_total_bytes", "JavaScript heap.", heapTotal),
    gauge("nodejs_external_memory_bytes", "Memory of buffers outside the JavaScript heap.", external),
  ];
}

/** Undefined where the system does not tell. */
async function openHandles(): Promise<number | undefined> {
  try {
    return (await readdir("/proc/self/fd")).length;
  } catch {
    return undefined;
  }
}

/** A counter of each source. */
function counter(
  name: string,
  help: string,
  totals: Totals,
  samplesOf: (source: SourceTotals) => readonly Sample[],
): Family {
  return {
    name,
    type: "counter",
    help,
    samples: [...totals].flatMap(([source, one]) =>
      samplesOf(one).map(({ labels, value }) => ({ labels: { source, ...labels }, value })),
    ),
  };
}

function gauge(name: string, help: string, value: number): Family {
  return { name, type: "gauge", help, samples: [{ value }] };
}

function histogram(
  name: string,
  help: string,
  totals: Totals,
  histogramsOf: (
    source: SourceTotals,
  ) => readonly (readonly [labels: Readonly<Record<string, string>>, values: Histogram])[],
): Family {
  const samples = [...totals].flatMap(([source, one]) =>
    histogramsOf(one).flatMap(([own, values]): Sample[] => {
      const labels = { source, ...own };
      const buckets = [...values.cumulative(), ["+Inf", values.count] as const];
      return [
        ...buckets.map(([le, value]) => ({ suffix: "_bucket", labels: { ...labels, le: String(le) }, value })),
        { suffix: "_sum", labels, value: values.sum },
        { suffix: "_count", labels, value: values.count },
      ];
    }),
  );
  return { name, type: "histogram", help, samples };
}
