import { type LookupAddress, type LookupOptions, lookup as systemLookup } from "node:dns";
import { isIP, isIPv6, type LookupFunction } from "node:net";
import { buildConnector } from "undici";
import { AfterbayError } from "../errors.ts";
import { addressKind, defaultPort } from "./addresses.ts";

/**
 * Connections to allowed addresses only. Names prove nothing (a public name may resolve to a private address, and to
 * another one the next time), so the address itself is judged, at the moment of connecting, and the connection is made
 * to the address that was judged.
 */

export interface GuardOptions {
  /** Allows private addresses everywhere. Link-local ones stay refused. */
  readonly allowPrivate: boolean;
  /** `host:port` pairs, as `hostPort` names them, that may be private: what the user configured by name. */
  readonly exempt: ReadonlySet<string>;
  /** How names become addresses. Default: `dns.lookup`. */
  readonly lookup?: LookupAll;
}

/** `dns.lookup` with `all: true`. */
export type LookupAll = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * A connector for undici's `Agent({ connect })` that opens sockets to allowed addresses only. A refusal is a
 * `wrong-answer`: whoever named the address gave a bad resolution or redirect.
 */
export function createGuardedConnector(options: GuardOptions): buildConnector.connector {
  const lookup = options.lookup ?? systemLookup;
  const strict = buildConnector({ lookup: guardedLookup(lookup, false) });
  const relaxed = buildConnector({ lookup: guardedLookup(lookup, true) });

  return (target, callback) => {
    const host = target.hostname.replace(/^\[(.*)\]$/, "$1");
    const lax = options.allowPrivate || options.exempt.has(nameOf(host, target));
    // A literal address is connected to without a lookup.
    if (isIP(host) !== 0 && !allowed(host, lax)) return callback(refusal(), null);
    (lax ? relaxed : strict)(target, callback);
  };
}

/**
 * A lookup for `net.connect` that keeps allowed addresses only, and fails where none is left. `net.connect` then uses
 * exactly these addresses and asks no second time, so that a name cannot be bound anew in between.
 */
export function guardedLookup(lookup: LookupAll, lax: boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const kept = addresses.filter(({ address }) => allowed(address, lax));
      const [first] = kept;
      if (first === undefined) return callback(refusal(), []);
      if (options.all === true) callback(null, kept);
      else callback(null, first.address, first.family);
    });
  };
}

function allowed(address: string, lax: boolean): boolean {
  const kind = addressKind(address);
  return kind === "public" || (kind === "private" && lax);
}

function refusal(): AfterbayError {
  return new AfterbayError("wrong-answer", "The resolution points to a private address");
}

function nameOf(host: string, target: { readonly port: string; readonly protocol: string }): string {
  const name = isIPv6(host) ? `[${host}]` : host;
  return `${name.toLowerCase()}:${target.port || defaultPort(target.protocol)}`;
}
