// Which ways lead to a server, and connections that go bad without a word.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { toBinary } from "@bufbuild/protobuf";
import { connect, TicketingError, v1 } from "@rhythmx/ticketing";
import { TIMES } from "#times";

import { anIncident, behaviour, createInJira, Fixture } from "./fixture.js";

let server: Fixture;
let token: string;
const usual = { ...TIMES };
before(async () => {
  server = await Fixture.start("--", "--subscriber-timeout=1s", "--bookmark-interval=200ms");
  token = server.said.tokens.admin;
});
after(async () => await server.stop());

const elapsedMs = (since: number): number => performance.now() - since;

behaviour("unix socket", "a Unix socket is as good as a port", async () => {
  const local = await Fixture.start("--unix");
  const client = connect(local.said.address, { token: local.said.tokens.admin });
  const events = await client.events();
  await client.createTicket(createInJira(anIncident()));
  await local.order("restart");
  await client.createTicket(createInJira(anIncident()));
  const first = (await events.next()).value!.sequence;
  for (let next = 1n; next < 6n; next++) assert.equal((await events.next()).value?.sequence, first + next);
  client.close();
  await local.stop();
});

const ADDRESSES = "addresses that are none are refused";
behaviour(ADDRESSES, "an address that is none is refused", async () => {
  const none = ["", "127.0.0.1", "host:", ":1", "host:0", "host:65536", "host:1/path", "ftp://host:1", "http://host"];
  none.push("https://host:1/", "unix:relative", "unix:", "::1:1", "[::g]:1", "[127.0.0.1]:1", "a host:1", "x@host:1");
  for (const address of none) {
    const message = `"${address}" is no address of a server: give HOST:PORT, [IPV6]:PORT or unix:/PATH`;
    assert.throws(() => connect(address), { name: "TypeError", message });
  }
});

behaviour(ADDRESSES, "an address may say whether there is TLS", async () => {
  const client = connect(`http://${server.said.address}`, { token });
  await client.getStatus();
  client.close();
  assert.throws(() => connect("http://ticketing.example:50051", { tls: {} }), /TLS is given/);
  connect("https://ticketing.example:50051", { token }).close();
});

const PLAINTEXT = "a token goes in plaintext to this machine alone";
behaviour(PLAINTEXT, "a token is not sent in plaintext to another machine", async () => {
  for (const far of ["ticketing.example:50051", "10.1.2.3:50051", "http://[2001:db8::1]:50051", "localhost.example:1"]) {
    assert.throws(() => connect(far, { token }), /without TLS/);
  }
  for (const near of ["localhost:1", "127.1.2.3:1", "[::1]:1", "unix:/run/ticketing.sock"]) connect(near, { token }).close();
  connect("ticketing.example:50051").close();
  for (const wrong of ["", "two words", "no\nheader", "ключ"]) {
    assert.throws(() => connect("127.0.0.1:1", { token: wrong }), /token/);
  }
});

behaviour(PLAINTEXT, "a proxy of the environment is not used for this machine", async () => {
  const names = ["http_proxy", "https_proxy", "grpc_proxy"];
  for (const name of names) process.env[name] = "http://127.0.0.1:9";
  const client = connect(server.said.address, { token });
  await client.getStatus({}, { deadlineMs: 2_000 });
  client.close();
  for (const name of names) delete process.env[name];
});

void test("certificates and keys that are none are refused", () => {
  const folder = mkdtempSync(join(tmpdir(), "ticketing-pem-"));
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, "garbage");
  assert.throws(() => connect("localhost:1", { tls: { ca } }), /ca: there is no PEM with CERTIFICATE in ".*ca\.pem"/);
  rmSync(folder, { recursive: true });
  const clientCertificate = "-----BEGIN CERTIFICATE-----";
  assert.throws(() => connect("localhost:1", { tls: { clientCertificate } }), /go together/);
  const clientKey = Buffer.from("key");
  assert.throws(() => connect("localhost:1", { tls: { clientCertificate, clientKey } }), /clientKey: there is no PEM/);
});

behaviour("a connection that dies silently", "it is replaced, for calls and for subscriptions", async () => {
  Object.assign(TIMES, { keepalive: 500, keepaliveTimeout: 500 });
  const client = connect(server.said.relay, { token });
  Object.assign(TIMES, usual);
  const events = await client.events();
  await server.order("relay swallows");
  const started = performance.now();
  await client.createTicket(createInJira(anIncident()));
  assert.equal((await events.next()).value?.kind, v1.TicketEventKind.ACCEPTED);
  assert.ok(elapsedMs(started) < 6_000, String(elapsedMs(started)));
  client.close();
});

behaviour("a stream that falls silent", "it is opened again, by another connection", async () => {
  TIMES.silence = 1_000;
  const client = connect(server.said.relay, { token });
  const events = await client.events();
  const { connections } = await server.order("relay connections");
  await server.order("relay mutes");
  const other = connect(server.said.address, { token });
  await other.createTicket(createInJira(anIncident()));
  other.close();
  const started = performance.now();
  assert.equal((await events.next()).value?.kind, v1.TicketEventKind.ACCEPTED);
  assert.ok(elapsedMs(started) < 4_000, String(elapsedMs(started)));
  // Calls take the new connection too.
  await client.getStatus({}, { deadlineMs: 1_000 });
  assert.equal((await server.order("relay connections"))["connections"], Number(connections) + 1);
  client.close();
  Object.assign(TIMES, usual);
});

behaviour("a stream ended for slowness", "it goes on", async () => {
  await server.order("relay narrows");
  const client = connect(server.said.relay, { token });
  const events = await client.events();
  // More than the server takes this subscriber to have read.
  for (let pushes = 0; pushes < 12; pushes++) await client.createTicket(createInJira(anIncident()));
  const seen: v1.TicketEvent[] = [];
  for await (const event of events) if (seen.push(event) === 36) break;
  assert.deepEqual(seen.map(({ sequence }) => sequence), seen.map((_, index) => seen[0]!.sequence + BigInt(index)));
  assert.ok(seen.reduce((sum, event) => sum + toBinary(v1.TicketEventSchema, event).length, 0) > 8_192);
  client.close();
  await server.order("relay fair");
});

behaviour("closing", "closing the client ends calls, subscriptions and what waits to try again, at once", async () => {
  const CLOSED = (error: unknown): boolean =>
    error instanceof TicketingError && error.code === "CANCELLED" && error.message.includes("the client is closed");
  await server.order("jira hangs");
  const client = connect(server.said.address, { token });
  const away = connect("127.0.0.1:1");
  const events = await client.events();
  const unread = await client.events();
  const call = client.createTicket(createInJira(anIncident()));
  // Then there is none for seconds.
  for (const kind of [v1.TicketEventKind.ACCEPTED, v1.TicketEventKind.ATTEMPT_STARTED]) {
    assert.equal((await events.next()).value?.kind, kind);
  }
  const underWay = [call, events.next(), away.getStatus(), away.events()];
  const settled = Promise.allSettled(underWay);
  await new Promise((resolve) => setTimeout(resolve, 700)); // Until two of them wait to try again.
  const started = performance.now();
  client.close();
  away.close();
  client.close();
  await settled;
  assert.ok(elapsedMs(started) < 500, String(elapsedMs(started)));
  for (const one of [...underWay, client.getStatus(), client.events(), unread.next(), events.next()]) {
    await assert.rejects(one, CLOSED);
  }
  await server.order("jira fair");
});
