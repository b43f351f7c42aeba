/**
 * Prometheus' text format, version 0.0.4. Written here since a client library would cost 11 MB and 100 ms to load, and
 * wants to count by itself, from the start, what the recorder counts already.
 */
export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A metric with all its series. */
export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** After the family's name: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
  /** An empty value means that there is no such label. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The families as one text, without those that have no series. */
export function renderMetrics(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) => {
      const head = `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}\n# TYPE ${name} ${type}\n`;
      return head + samples.map((sample) => line(name, sample)).join("");
    })
    .join("");
}

function line(name: string, { suffix = "", labels = {}, value }: Sample): string {
  const pairs = Object.entries(labels)
    .filter(([, text]) => text !== "")
    .map(([label, text]) => `${label}="${escapeValue(text)}"`);
  const set = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  return `${name}${suffix}${set} ${value}\n`;
}

function escapeValue(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/"/g, '\\"');
}
