import { describe, expect, it } from "vitest";
import { addressKind, hostPort, isLoopback } from "../../src/data-source/addresses.ts";

describe("addressKind", () => {
  it.each([
    "8.8.8.8",
    "1.1.1.1",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "::ffff:808:808",
    "2002:808:808::1",
    "64:ff9b::8.8.8.8",
  ])("%s is public", (address) => expect(addressKind(address)).toBe("public"));

  it.each([
    "127.0.0.1",
    "127.255.255.254",
    "0x7f.1",
    "2130706433",
    "017700000001",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "::808:808",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2001:0:1::1",
    "100::1",
    "4000::1",
    "e000::1",
    "not an address",
    "",
  ])("%j is private", (address) => expect(addressKind(address)).toBe("private"));

  it.each([
    "169.254.0.1",
    "169.254.169.254",
    "0xa9.0xfe.0xa9.0xfe",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "64:ff9b::a9fe:a9fe",
  ])("%s is link-local", (address) => expect(addressKind(address)).toBe("link-local"));
});

it("isLoopback knows localhost and loopback addresses", () => {
  for (const host of ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1"])
    expect(isLoopback(host)).toBe(true);
  for (const host of ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "[::2]", "2130706433"])
    expect(isLoopback(host)).toBe(false);
});

it("hostPort writes default ports out", () => {
  const of = [
    "http://Music.example/a",
    "https://music.example",
    "http://10.0.0.1:8080",
    "http://[::1]:90/",
    "http://0x7f.1/",
  ];
  expect(of.map((url) => hostPort(new URL(url)))).toEqual([
    "music.example:80",
    "music.example:443",
    "10.0.0.1:8080",
    "[::1]:90",
    "127.0.0.1:80",
  ]);
});
