import { pino } from "pino";
import type { Output } from "./io.ts";
import { redactText } from "../redact.ts";
import { redactFields } from "./redact.ts";
import type { Logger } from "../proxy.ts";

/** From all to nothing. */
export const levels = ["debug", "info", "warn", "error", "silent"] as const;
export type Level = (typeof levels)[number];

type Write = (level: Exclude<Level, "silent">, fields: Record<string, unknown>, message: string) => void;

/** A log on `output`: short lines for a person at a terminal, JSON for anything else. Nothing secret gets through. */
export function createLog(level: Level, output: Output): Logger {
  const write = output.isTTY === true ? forPeople(output) : forPrograms(output);
  const at = (name: Exclude<Level, "silent">) => (fields: object, message: string) => {
    if (levels.indexOf(name) >= levels.indexOf(level)) write(name, redactFields(fields), redactText(message));
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function forPrograms(output: Output): Write {
  const log = pino({ level: "debug", base: null, timestamp: pino.stdTimeFunctions.isoTime }, output);
  return (level, fields, message) => log[level](fields, message);
}

function forPeople(output: Output): Write {
  return (level, fields, message) => {
    const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${inWords(value)}`);
    output.write(`${new Date().toTimeString().slice(0, 8)} ${level.padEnd(5)} ${message}${rest.join("")}\n`);
  };
}

function inWords(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if ("stack" in value && typeof value.stack === "string") return value.stack;
  return JSON.stringify(value);
}
