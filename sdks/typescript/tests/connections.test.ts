// Addresses, tokens, failed connections and closing.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { toBinary } from "@bufbuild/protobuf";
import { connect, TicketingError, v1 } from "@rhythmx/ticketing";
import { TIMES } from "#times";

import { newIncident, behaviour, createInJira, Fixture } from "./fixture.js";

let server: Fixture;
let token: string;
const usual = { ...TIMES };
before(async () => {
  server = await Fixture.start("--", "--subscriber-timeout=1s", "--bookmark-interval=200ms");
  token = server.started.tokens.admin;
});
after(async () => await server.stop());

const elapsedMs = (since: number): number => performance.now() - since;

behaviour("unix socket", "connects over a Unix socket", async () => {
  const local = await Fixture.start("--unix");
  const client = connect(local.started.address, { token: local.started.tokens.admin });
  const events = await client.events();
  await client.createTicket(createInJira(newIncident()));
  await local.command("restart");
  await client.createTicket(createInJira(newIncident()));
  const first = (await events.next()).value!.sequence;
  for (let next = 1n; next < 6n; next++) assert.equal((await events.next()).value?.sequence, first + next);
  client.close();
  await local.stop();
});

const ADDRESSES = "invalid addresses are refused";
behaviour(ADDRESSES, "refuses invalid addresses", async () => {
  const invalid = ["", "127.0.0.1", "host:", ":1", "host:0", "host:65536", "host:1/path", "ftp://host:1", "http://host"];
  invalid.push("https://host:1/", "unix:relative", "unix:", "::1:1", "[::g]:1", "[127.0.0.1]:1", "a host:1", "x@host:1");
  for (const address of invalid) {
    const message = `"${address}" is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH`;
    assert.throws(() => connect(address), { name: "TypeError", message });
  }
});

behaviour(ADDRESSES, "the scheme of an address decides TLS", async () => {
  const client = connect(`http://${server.started.address}`, { token });
  await client.getStatus();
  client.close();
  assert.throws(() => connect("http://ticketing.example:50051", { tls: {} }), /TLS is given/);
  connect("https://ticketing.example:50051", { token }).close();
});

const PLAINTEXT = "tokens are sent in plaintext only to the local machine";
behaviour(PLAINTEXT, "refuses a plaintext token for another machine", async () => {
  for (const far of ["ticketing.example:50051", "10.1.2.3:50051", "http://[2001:db8::1]:50051", "localhost.example:1"]) {
    assert.throws(() => connect(far, { token }), /without TLS/);
  }
  for (const near of ["localhost:1", "127.1.2.3:1", "[::1]:1", "unix:/run/ticketing.sock"]) connect(near, { token }).close();
  connect("ticketing.example:50051").close();
  for (const wrong of ["", "two words", "no\nheader", "ключ"]) {
    assert.throws(() => connect("127.0.0.1:1", { token: wrong }), /token/);
  }
});

behaviour(PLAINTEXT, "uses no proxy for the local machine", async () => {
  const names = ["http_proxy", "https_proxy", "grpc_proxy"];
  for (const name of names) process.env[name] = "http://127.0.0.1:9";
  const client = connect(server.started.address, { token });
  await client.getStatus({}, { deadlineMs: 2_000 });
  client.close();
  for (const name of names) delete process.env[name];
});

void test("refuses files without PEM", () => {
  const folder = mkdtempSync(join(tmpdir(), "ticketing-pem-"));
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, "garbage");
  assert.throws(() => connect("localhost:1", { tls: { ca } }), /ca: there is no PEM with CERTIFICATE in ".*ca\.pem"/);
  rmSync(folder, { recursive: true });
  const clientCertificate = "-----BEGIN CERTIFICATE-----";
  assert.throws(() => connect("localhost:1", { tls: { clientCertificate } }), /set together/);
  const clientKey = Buffer.from("key");
  assert.throws(() => connect("localhost:1", { tls: { clientCertificate, clientKey } }), /clientKey: there is no PEM/);
});

behaviour("silently failed connections are replaced", "replaces a silently failed connection", async () => {
  Object.assign(TIMES, { keepalive: 500, keepaliveTimeout: 500 });
  const client = connect(server.started.relay, { token });
  Object.assign(TIMES, usual);
  const events = await client.events();
  await server.command("relay drop-bytes");
  const started = performance.now();
  await client.createTicket(createInJira(newIncident()));
  assert.equal((await events.next()).value?.kind, v1.TicketEventKind.ACCEPTED);
  assert.ok(elapsedMs(started) < 6_000, String(elapsedMs(started)));
  client.close();
});

behaviour("silent streams are resumed", "resumes a silent stream over a new connection", async () => {
  TIMES.silence = 1_000;
  const client = connect(server.started.relay, { token });
  const events = await client.events();
  const { connections } = await server.command("relay connections");
  await server.command("relay drop-messages");
  const other = connect(server.started.address, { token });
  await other.createTicket(createInJira(newIncident()));
  other.close();
  const started = performance.now();
  assert.equal((await events.next()).value?.kind, v1.TicketEventKind.ACCEPTED);
  assert.ok(elapsedMs(started) < 4_000, String(elapsedMs(started)));
  // Calls use the new connection too.
  await client.getStatus({}, { deadlineMs: 1_000 });
  assert.equal((await server.command("relay connections"))["connections"], Number(connections) + 1);
  client.close();
  Object.assign(TIMES, usual);
});

behaviour("streams ended for a slow subscriber are resumed", "resumes a stream ended for a slow subscriber", async () => {
  await server.command("relay slow-reader");
  const client = connect(server.started.relay, { token });
  const events = await client.events();
  // More than the relay's reader reads before its pause.
  for (let pushes = 0; pushes < 12; pushes++) await client.createTicket(createInJira(newIncident()));
  const seen: v1.TicketEvent[] = [];
  for await (const event of events) if (seen.push(event) === 36) break;
  assert.deepEqual(seen.map(({ sequence }) => sequence), seen.map((_, index) => seen[0]!.sequence + BigInt(index)));
  assert.ok(seen.reduce((sum, event) => sum + toBinary(v1.TicketEventSchema, event).length, 0) > 8_192);
  client.close();
  await server.command("relay ok");
});

behaviour("closing", "closing ends calls, subscriptions and waiting retries immediately", async () => {
  const CLOSED = (error: unknown): boolean =>
    error instanceof TicketingError && error.code === "CANCELLED" && error.message.includes("the client is closed");
  await server.command("jira delay");
  const client = connect(server.started.address, { token });
  const unreachable = connect("127.0.0.1:1");
  const events = await client.events();
  const unread = await client.events();
  const call = client.createTicket(createInJira(newIncident()));
  // After these there is none for seconds.
  for (const kind of [v1.TicketEventKind.ACCEPTED, v1.TicketEventKind.ATTEMPT_STARTED]) {
    assert.equal((await events.next()).value?.kind, kind);
  }
  const running = [call, events.next(), unreachable.getStatus(), unreachable.events()];
  const settled = Promise.allSettled(running);
  await new Promise((resolve) => setTimeout(resolve, 700)); // Until two of them wait for a retry.
  const started = performance.now();
  client.close();
  unreachable.close();
  client.close();
  await settled;
  assert.ok(elapsedMs(started) < 500, String(elapsedMs(started)));
  for (const one of [...running, client.getStatus(), client.events(), unread.next(), events.next()]) {
    await assert.rejects(one, CLOSED);
  }
  await server.command("jira ok");
});
