// What ends a subscription, and what does not, by a server that plays it.
import assert from "node:assert/strict";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { after, test } from "node:test";

import { status } from "@grpc/grpc-js";
import { connect, ResumeTokenExpired, v1, type Client } from "@rhythmx/ticketing";
import { TIMES } from "#times";

import { behaviour } from "./fixture.js";
import { Played, type Broken } from "./played.js";

const all: { stop(): void }[] = [];
after(() => all.forEach((one) => one.stop()));

async function played(...streams: (number | Broken)[][]): Promise<{ server: Played; client: Client }> {
  const server = await Played.start(...streams);
  const client = connect(server.address);
  all.push({ stop: () => (client.close(), server.stop()) });
  return { server, client };
}

for (const code of [status.INTERNAL, status.UNKNOWN, status.CANCELLED, status.ABORTED, status.RESOURCE_EXHAUSTED]) {
  void test(`whatever may be of something between is resumed (${status[code]})`, async () => {
    const { server, client } = await played([0, 1, { code }], [2, { code }], [3]);
    const events = await client.events();
    for (const sequence of [1n, 2n, 3n]) assert.equal((await events.next()).value?.sequence, sequence);
    assert.deepEqual(server.asked, ["", "after 1", "after 2"]);
  });
}

void test("an end without a word is resumed, and a first message that is an event is not lost", async () => {
  const { client } = await played([1], [2]);
  const events = await client.events();
  assert.equal(events.resumeToken, "");
  const both = await Promise.all([events.next(), events.next()]);
  assert.deepEqual(both.map(({ value }) => value?.sequence), [1n, 2n]);
  assert.equal(events.resumeToken, "after 2");
});

const REFUSED = "events end with a typed error when the token is refused";
behaviour(REFUSED, "an expired token is handed to the caller with the oldest one", async () => {
  const { server, client } = await played(
    [0, 1, { code: status.UNAVAILABLE, reason: "SHUTTING_DOWN" }],
    [{ code: status.OUT_OF_RANGE, reason: "RESUME_TOKEN_EXPIRED", about: ["oldest_token", "oldest"] }],
  );
  const events = await client.events();
  assert.equal((await events.next()).value?.sequence, 1n);
  const error = await events.next().catch((failed: unknown) => failed);
  assert.ok(error instanceof ResumeTokenExpired, String(error));
  assert.equal(error.oldestToken, "oldest");
  assert.deepEqual(server.asked, ["", "after 1"]);
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

void test("slowness is resumed, and a revoked credential is not", async () => {
  const { server, client } = await played(
    [0, 1, { code: status.RESOURCE_EXHAUSTED, reason: "SUBSCRIBER_TOO_SLOW", about: ["resume_token", "elsewhere"] }],
    [0, 2, { code: status.UNAUTHENTICATED, reason: "CREDENTIAL_INVALID" }],
  );
  const events = await client.events();
  for (const sequence of [1n, 2n]) assert.equal((await events.next()).value?.sequence, sequence);
  await assert.rejects(events.next(), { code: "UNAUTHENTICATED", reason: v1.ErrorReason.CREDENTIAL_INVALID });
  assert.deepEqual(server.asked, ["", "after 1"]);
});

void test("calls and beginnings are attempted six times, and what puts a doubt aside is not retried", async (t) => {
  const { longestDelay } = TIMES;
  t.after(() => (TIMES.longestDelay = longestDelay));
  TIMES.longestDelay = 10;
  const { server, client } = await played(...Array.from({ length: 12 }, () => [{ code: status.UNAVAILABLE }]));
  await assert.rejects(client.retryDelivery({ deliveryId: "0197", createAnyway: true }), { code: "UNAVAILABLE" });
  assert.equal(server.retries, 1);
  await assert.rejects(client.retryDelivery({ deliveryId: "0197" }), { code: "UNAVAILABLE" });
  assert.equal(server.retries, 7);
  await assert.rejects(client.events(), { code: "UNAVAILABLE" });
  assert.equal(server.asked.length, 6);
});

behaviour("DEADLINE_EXCEEDED", "a subscription that does not begin exceeds its deadline, never anything else", async () => {
  const connections: Socket[] = [];
  const mute = createServer((connection) => connections.push(connection));
  const port = await new Promise<number>((resolve) => {
    mute.listen(0, "127.0.0.1", () => resolve((mute.address() as AddressInfo).port));
  });
  const client = connect(`127.0.0.1:${port}`);
  const deadlines = [0, -1, ...Array.from({ length: 60 }, () => 20)];
  const found = await Promise.all(
    deadlines.map((deadlineMs) => client.events({}, { deadlineMs }).catch((error: { code: string }) => error.code)),
  );
  assert.deepEqual(found, deadlines.map(() => "DEADLINE_EXCEEDED"));
  client.close();
  for (const connection of connections) connection.destroy();
  mute.close();
});

behaviour("a deadline that is endless", "a deadline that is endless is none", async () => {
  for (const deadlineMs of [Infinity, 1e300, 2 ** 31]) {
    const { server } = await played([0]);
    const client = connect(server.address, { deadlineMs });
    (await client.events()).close();
    const anyway = { deliveryId: "0197", createAnyway: true };
    await assert.rejects(client.retryDelivery(anyway), { code: "UNAVAILABLE" });
    client.close();
  }
});

void test("a stream that falls silent before it begins is opened again", async (t) => {
  const { silence } = TIMES;
  t.after(() => (TIMES.silence = silence));
  TIMES.silence = 200;
  const { server, client } = await played();
  // That is what it says when there is no time for another attempt.
  await assert.rejects(client.events({}, { deadlineMs: 1_200 }), { code: /^(DEADLINE_EXCEEDED|UNAVAILABLE)$/ });
  assert.ok(server.asked.length >= 2, String(server.asked.length));
});
