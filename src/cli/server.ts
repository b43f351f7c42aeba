import type { Quality } from "../data-source/data-source.ts";

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
export interface ServerOptions {
  host: string;
  port: number;
  cacheDir: string;
  cacheSize: number;
  sources: readonly string[];
  token?: string;
  allowHosts: readonly string[];
  allowOrigins: readonly string[];
  allowPrivate: boolean;
  maxWindow?: number;
  firstByteMs: number;
  patienceMs: number;
  dataSaver: boolean;
  quality?: Quality;
  log: Logger;
}
export interface Server {
  url: string;
  firstTrack?: { key: string };
  close(): Promise<void>;
}
export type CreateServer = (options: ServerOptions) => Promise<Server>;
