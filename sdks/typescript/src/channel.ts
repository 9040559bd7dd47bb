import { existsSync, readFileSync } from "node:fs";
import * as tls from "node:tls";

import { credentials, type ChannelCredentials, type ClientOptions } from "@grpc/grpc-js";

/** How to trust the server, and how to be trusted by it. Each is PEM, or the path of a file that holds it. */
export interface Tls {
  /** Certificates of the authorities that are trusted. Absent: those that the system trusts. */
  readonly ca?: string | Uint8Array;
  /** The client's certificate, and those that lead to its authority. */
  readonly clientCertificate?: string | Uint8Array;
  /** The key of the client's certificate. */
  readonly clientKey?: string | Uint8Array;
}

export const OPTIONS: ClientOptions = {
  // Retries are ours: only we read `RetryInfo`.
  "grpc.enable_retries": 0,
  // Come back soon after a restart: as often as calls are retried, and not after two minutes.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // A server that is gone without a word is noticed within 30 s, by streams too.
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // A page of deliveries with all their attempts may be larger than the 4 MiB that grpc takes by default.
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
};

export function channelCredentials(how: Tls | undefined): ChannelCredentials {
  if (!how) return credentials.createInsecure();
  if ((how.clientCertificate === undefined) !== (how.clientKey === undefined)) {
    throw new TypeError("a client certificate and its key go together");
  }
  const ca = how.ca === undefined ? systemAuthorities() : pem(how.ca);
  return credentials.createSsl(ca, pem(how.clientKey), pem(how.clientCertificate));
}

export function authorization(token: string | undefined): string | undefined {
  if (token === undefined) return undefined;
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError("the token has characters that no token has");
  return `Bearer ${token}`;
}

function pem(source: string | Uint8Array | undefined): Buffer | null {
  if (source === undefined) return null;
  if (typeof source !== "string") return Buffer.from(source);
  return source.includes("-----BEGIN") ? Buffer.from(source) : readFileSync(source);
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
