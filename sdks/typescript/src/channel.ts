import { existsSync, readFileSync } from "node:fs";
import * as nodeTls from "node:tls";

import { credentials, Metadata, type ChannelCredentials, type ClientOptions } from "@grpc/grpc-js";

import { parseAddress, type Address } from "./address.js";
import { TIMES } from "./times.js";

/** TLS settings. Each value is PEM, or the path of a PEM file. */
export interface Tls {
  /** Certificates of the trusted authorities. Absent: the system's. */
  readonly ca?: string | Uint8Array;
  /** The client's certificate chain. */
  readonly clientCertificate?: string | Uint8Array;
  /** The key of the client's certificate. */
  readonly clientKey?: string | Uint8Array;
}

/** Settings of the connections to a server. */
export interface Route {
  /** The address as given, for messages. */
  readonly address: string;
  /** The target in grpc-js's syntax. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  /** Metadata of each call. */
  readonly metadata: Metadata;
  readonly options: ClientOptions;
}

/** Creates the settings for a server. Throws a TypeError if they are invalid. */
export function routeTo(address: string, given: Tls | undefined, token: string | undefined): Route {
  const parsed = parseAddress(address);
  if (parsed.scheme === "http" && given) throw new TypeError(`"${address}" is without TLS, but TLS is given`);
  const tls = given ?? (parsed.scheme === "https" ? {} : undefined);
  const metadata = new Metadata();
  if (token !== undefined) {
    if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError("the token is empty or has invalid characters");
    if (!tls && !parsed.isLocal) throw new TypeError("a token is not sent to another machine without TLS: set tls");
    metadata.set("authorization", `Bearer ${token}`);
  }
  const options = channelOptions(parsed, tls !== undefined && !parsed.isLocal);
  return { address, target: parsed.target, credentials: channelCredentials(tls), metadata, options };
}

function channelOptions({ isUnix }: Address, throughProxies: boolean): ClientOptions {
  return {
    // This package retries itself, since grpc ignores `RetryInfo`.
    "grpc.enable_retries": 0,
    // Reconnect soon after a restart of the server: the default maximum is two minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.keepalive_time_ms": TIMES.keepalive,
    "grpc.keepalive_timeout_ms": TIMES.keepaliveTimeout,
    // Each channel has its own connection instead of sharing one.
    "grpc.use_local_subchannel_pool": 1,
    // The environment's proxy is only for other machines, and must not see plaintext.
    "grpc.enable_http_proxy": throughProxies ? 1 : 0,
    // A page of deliveries with all their attempts may exceed grpc's default of 4 MiB.
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    // The default authority would be the path, which is not a host name.
    ...(isUnix && { "grpc.default_authority": "localhost" }),
  };
}

function channelCredentials(settings: Tls | undefined): ChannelCredentials {
  if (!settings) return credentials.createInsecure();
  if ((settings.clientCertificate === undefined) !== (settings.clientKey === undefined)) {
    throw new TypeError("a client certificate and its key must be set together");
  }
  const ca = settings.ca === undefined ? systemAuthorities() : pem("ca", settings.ca, "CERTIFICATE-----");
  const key = pem("clientKey", settings.clientKey, "PRIVATE KEY-----");
  return credentials.createSsl(ca, key, pem("clientCertificate", settings.clientCertificate, "CERTIFICATE-----"));
}

function pem(name: string, source: string | Uint8Array | undefined, mark: string): Buffer | null {
  if (source === undefined) return null;
  const isPath = typeof source === "string" && !source.includes("-----BEGIN");
  const found = isPath ? readFileSync(source) : Buffer.from(source as string);
  // Node would accept any text here, and then trust no server.
  if (!found.includes("-----BEGIN ") || !found.includes(mark)) {
    throw new TypeError(`${name}: there is no PEM with ${mark.slice(0, -5)} in ${isPath ? `"${source}"` : "it"}`);
  }
  return found;
}

// The system's authorities: by default Node uses its own list, without authorities that were added to the system.
function systemAuthorities(): Buffer | null {
  // Since Node 22.15.
  const { getCACertificates } = nodeTls as { getCACertificates?: (kind: "system") => string[] };
  const found = getCACertificates?.("system") ?? [];
  if (found.length > 0) return Buffer.from(found.join("\n"));
  const file = [process.env["SSL_CERT_FILE"], ...FILES].find((path) => path && existsSync(path));
  return file ? readFileSync(file) : null;
}

// The paths of Debian, Red Hat, SUSE, Alpine and the BSDs.
const FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
