import { type LookupAddress, type LookupOptions, lookup as systemLookup } from "node:dns";
import { isIP, isIPv6, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { buildConnector } from "undici";
import { AfterbayError } from "../errors.ts";

/**
 * Which addresses may be connected to. Names prove nothing (a public name may resolve to a private address, and to
 * another one the next time), so the address itself is judged, at the moment of connecting, and the connection is made
 * to the address that was judged.
 */

/**
 * - `public`: reachable for everybody.
 * - `private`: of this machine, this network or no network: loopback, RFC 1918, unique local, carrier-grade NAT,
 *   unspecified, multicast, reserved. Allowed where the user said so.
 * - `link-local`: where clouds serve their credentials (169.254.169.254); never allowed.
 */
export type AddressKind = "public" | "private" | "link-local";

/** IPv6 has more special-purpose blocks than any list knows; global unicast is handed out from this one alone. */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("2000::"), 3];

/** What translators (NAT64) put in front of an IPv4 address, RFC 6052. The local prefix of RFC 8215 stays private. */
const NAT64: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("64:ff9b::"), 96];

/** Judges a literal IPv4 or IPv6 address, without brackets. What cannot be read counts as private. */
export function addressKind(address: string): AddressKind {
  if (!ipaddr.isValid(address)) return "private";
  const parsed = ipaddr.parse(address);
  const embedded = parsed instanceof ipaddr.IPv6 ? embeddedIPv4(parsed) : undefined;
  return embedded === undefined ? kindOf(parsed) : kindOf(embedded);
}

/** True for `localhost` and loopback addresses, with or without brackets. Other names are not resolved. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  if (name === "localhost") return true;
  return isIP(name) !== 0 && ipaddr.process(name).range() === "loopback";
}

/** `host:port` of a URL, lower-cased, with its default port written out: how hosts are named in exemptions. */
export function hostPort(url: URL): string {
  return `${url.hostname.toLowerCase()}:${url.port || defaultPort(url.protocol)}`;
}

export interface GuardOptions {
  /** Allows private addresses everywhere. Link-local ones stay refused. */
  readonly allowPrivate: boolean;
  /** `host:port` pairs ({@link hostPort}) that may be private: what the user configured by name. */
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

function defaultPort(protocol: string): string {
  return protocol === "https:" ? "443" : "80";
}

function kindOf(address: ipaddr.IPv4 | ipaddr.IPv6): AddressKind {
  const range = address.range();
  if (range === "linkLocal") return "link-local";
  if (range !== "unicast") return "private";
  return address instanceof ipaddr.IPv6 && !address.match(GLOBAL_UNICAST) ? "private" : "public";
}

/** The IPv4 address that a packet to an IPv6 address ends up at, for the notations and translations that hold one. */
function embeddedIPv4(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  const range = address.range();
  if (range === "6to4") return new ipaddr.IPv4(bytes.slice(2, 6));
  const last = range === "ipv4Mapped" || range === "rfc6145" || address.match(NAT64);
  return last ? new ipaddr.IPv4(bytes.slice(12)) : undefined;
}
