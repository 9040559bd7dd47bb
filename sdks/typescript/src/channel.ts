import { existsSync, readFileSync } from "node:fs";
import * as tls from "node:tls";

import { credentials, Metadata, type ChannelCredentials, type ClientOptions } from "@grpc/grpc-js";

import { readAddress, type Address } from "./address.js";
import { TIMES } from "./times.js";

/** How to trust the server, and how to be trusted by it. Each is PEM, or the path of a file that holds it. */
export interface Tls {
  /** Certificates of the authorities that are trusted. Absent: those that the system trusts. */
  readonly ca?: string | Uint8Array;
  /** The client's certificate, and those that lead to its authority. */
  readonly clientCertificate?: string | Uint8Array;
  /** The key of the client's certificate. */
  readonly clientKey?: string | Uint8Array;
}

/** All that connections to one server have in common. */
export interface Route {
  /** As it was given, for people. */
  readonly address: string;
  /** As grpc-js understands it. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  /** What goes with each call. */
  readonly metadata: Metadata;
  readonly options: ClientOptions;
}

/** The way to a server, or a TypeError that says what is wrong with it. */
export function routeTo(address: string, given: Tls | undefined, token: string | undefined): Route {
  const place = readAddress(address);
  if (place.scheme === "http" && given) throw new TypeError(`"${address}" says that there is no TLS, and yet TLS is given`);
  const how = given ?? (place.scheme === "https" ? {} : undefined);
  const metadata = new Metadata();
  if (token !== undefined) {
    if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError("the token is empty, or has characters that no token has");
    if (!how && !place.isLocal) throw new TypeError("a token is not sent to another machine without TLS: give tls");
    metadata.set("authorization", `Bearer ${token}`);
  }
  const options = channelOptions(place, how !== undefined && !place.isLocal);
  return { address, target: place.target, credentials: channelCredentials(how), metadata, options };
}

function channelOptions({ isUnix }: Address, throughProxies: boolean): ClientOptions {
  return {
    // Retries are ours: only we read `RetryInfo`.
    "grpc.enable_retries": 0,
    // Come back soon after a restart: as often as calls are retried, and not after two minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.keepalive_time_ms": TIMES.keepalive,
    "grpc.keepalive_timeout_ms": TIMES.keepaliveTimeout,
    // A new channel is a new connection, and not one that another channel has.
    "grpc.use_local_subchannel_pool": 1,
    // A proxy of the environment is for what leaves the machine, and must not read along.
    "grpc.enable_http_proxy": throughProxies ? 1 : 0,
    // A page of deliveries with all their attempts may be larger than the 4 MiB that grpc takes by default.
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    // It would be the path, which is no name of a host.
    ...(isUnix && { "grpc.default_authority": "localhost" }),
  };
}

function channelCredentials(how: Tls | undefined): ChannelCredentials {
  if (!how) return credentials.createInsecure();
  if ((how.clientCertificate === undefined) !== (how.clientKey === undefined)) {
    throw new TypeError("a client certificate and its key go together");
  }
  const ca = how.ca === undefined ? systemAuthorities() : pem("ca", how.ca, "CERTIFICATE-----");
  const key = pem("clientKey", how.clientKey, "PRIVATE KEY-----");
  return credentials.createSsl(ca, key, pem("clientCertificate", how.clientCertificate, "CERTIFICATE-----"));
}

function pem(name: string, source: string | Uint8Array | undefined, mark: string): Buffer | null {
  if (source === undefined) return null;
  const isPath = typeof source === "string" && !source.includes("-----BEGIN");
  const found = isPath ? readFileSync(source) : Buffer.from(source as string);
  // Node would accept any text as a list of authorities, and trust no server.
  if (!found.includes("-----BEGIN ") || !found.includes(mark)) {
    throw new TypeError(`${name}: there is no PEM with ${mark.slice(0, -5)} in ${isPath ? `"${source}"` : "it"}`);
  }
  return found;
}

// Node trusts a list that came with it, and knows nothing of an authority that was added to the machine, unless it is asked.
function systemAuthorities(): Buffer | null {
  // Since Node 22.15.
  const { getCACertificates } = tls as { getCACertificates?: (kind: "system") => string[] };
  const found = getCACertificates?.("system") ?? [];
  if (found.length > 0) return Buffer.from(found.join("\n"));
  const file = [process.env["SSL_CERT_FILE"], ...FILES].find((path) => path && existsSync(path));
  return file ? readFileSync(file) : null;
}

// Where Debian, Red Hat, SUSE, Alpine and the BSDs keep them.
const FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
