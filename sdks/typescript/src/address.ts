import { BlockList, isIP, isIPv6 } from "node:net";

/** Where a server is. */
export interface Address {
  /** As grpc-js understands it, whatever the host is called. */
  readonly target: string;
  /** What was said of TLS. */
  readonly scheme: "http" | "https" | undefined;
  /** Whether it is this machine, so that nothing travels: loopback, or a Unix socket. */
  readonly isLocal: boolean;
  /** Whether it is a Unix socket. */
  readonly isUnix: boolean;
}

const UNIX = /^unix:(\/[^\0]+)$/;
const PLACE = /^(?:(https?):\/\/)?((?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5}))$/;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Reads HOST:PORT, [IPV6]:PORT or unix:/PATH; before the first two may be http:// or https://. */
export function readAddress(text: string): Address {
  const socket = UNIX.exec(text);
  if (socket) return { target: `unix:${socket[1]}`, scheme: undefined, isLocal: true, isUnix: true };
  const [, scheme, place, v6, host, port] = PLACE.exec(text) ?? [];
  if (Number(port) >= 1 && Number(port) <= 65_535 && (v6 === undefined || isIPv6(v6))) {
    const isLocal = isLoopback((v6 ?? host)!);
    return { target: `dns:///${place}`, scheme: scheme as Address["scheme"], isLocal, isUnix: false };
  }
  throw new TypeError(`"${text}" is no address of a server: give HOST:PORT, [IPV6]:PORT or unix:/PATH`);
}

function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (!family) return host.toLowerCase() === "localhost";
  return LOOPBACK.check(host, family === 4 ? "ipv4" : "ipv6");
}
