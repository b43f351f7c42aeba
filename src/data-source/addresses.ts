import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

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

/** Of a URL scheme with its colon. */
export function defaultPort(protocol: string): string {
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
