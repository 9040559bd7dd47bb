import { BlockList, isIP, isIPv6 } from "node:net";

/** A parsed server address. */
export interface Address {
  /** The target in grpc-js's syntax. */
  readonly target: string;
  /** The scheme, which decides whether TLS is used. */
  readonly scheme: "http" | "https" | undefined;
  /** Whether the server is on this machine: loopback, or a Unix socket. */
  readonly isLocal: boolean;
  /** Whether it is a Unix socket. */
  readonly isUnix: boolean;
}

const UNIX = /^unix:(\/[^\0]+)$/;
const HOST_PORT = /^(?:(https?):\/\/)?((?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5}))$/;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Parses HOST:PORT, [IPV6]:PORT or unix:/PATH, the first two with an optional http:// or https://. */
export function parseAddress(text: string): Address {
  const socket = UNIX.exec(text);
  if (socket) return { target: `unix:${socket[1]}`, scheme: undefined, isLocal: true, isUnix: true };
  const [, scheme, authority, v6, host, port] = HOST_PORT.exec(text) ?? [];
  if (Number(port) >= 1 && Number(port) <= 65_535 && (v6 === undefined || isIPv6(v6))) {
    const isLocal = isLoopback((v6 ?? host)!);
    return { target: `dns:///${authority}`, scheme: scheme as Address["scheme"], isLocal, isUnix: false };
  }
  throw new TypeError(`"${text}" is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH`);
}

function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (!family) return host.toLowerCase() === "localhost";
  return LOOPBACK.check(host, family === 4 ? "ipv4" : "ipv6");
}
