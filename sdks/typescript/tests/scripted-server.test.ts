// Which errors end a subscription, with a scripted server.
import assert from "node:assert/strict";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { after, test } from "node:test";

import { status } from "@grpc/grpc-js";
import { connect, ResumeTokenExpired, v1, type Client } from "@rhythmx/ticketing";
import { TIMES } from "#times";

import { behaviour } from "./fixture.js";
import { ScriptedServer, type Broken } from "./scripted-server.js";

const all: { stop(): void }[] = [];
after(() => all.forEach((one) => one.stop()));

async function scripted(...streams: (number | Broken)[][]): Promise<{ server: ScriptedServer; client: Client }> {
  const server = await ScriptedServer.start(...streams);
  const client = connect(server.address);
  all.push({ stop: () => (client.close(), server.stop()) });
  return { server, client };
}

for (const code of [status.INTERNAL, status.UNKNOWN, status.CANCELLED, status.ABORTED, status.RESOURCE_EXHAUSTED]) {
  void test(`resumes after errors of a proxy (${status[code]})`, async () => {
    const { server, client } = await scripted([0, 1, { code }], [2, { code }], [3]);
    const events = await client.events();
    for (const sequence of [1n, 2n, 3n]) assert.equal((await events.next()).value?.sequence, sequence);
    assert.deepEqual(server.resumeTokens, ["", "after 1", "after 2"]);
  });
}

void test("resumes after an end without a status", async () => {
  const { client } = await scripted([1], [2]);
  const events = await client.events();
  assert.equal(events.resumeToken, "");
  const both = await Promise.all([events.next(), events.next()]);
  assert.deepEqual(both.map(({ value }) => value?.sequence), [1n, 2n]);
  assert.equal(events.resumeToken, "after 2");
});

const REFUSED = "events end with a typed error when the token is refused";
behaviour(REFUSED, "an expired token has the oldest token", async () => {
  const { server, client } = await scripted(
    [0, 1, { code: status.UNAVAILABLE, reason: "SHUTTING_DOWN" }],
    [{ code: status.OUT_OF_RANGE, reason: "RESUME_TOKEN_EXPIRED", about: ["oldest_token", "oldest"] }],
  );
  const events = await client.events();
  assert.equal((await events.next()).value?.sequence, 1n);
  const error = await events.next().catch((failed: unknown) => failed);
  assert.ok(error instanceof ResumeTokenExpired, String(error));
  assert.equal(error.oldestToken, "oldest");
  assert.deepEqual(server.resumeTokens, ["", "after 1"]);
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

void test("a revoked credential ends the subscription, a slow subscriber does not", async () => {
  const { server, client } = await scripted(
    [0, 1, { code: status.RESOURCE_EXHAUSTED, reason: "SUBSCRIBER_TOO_SLOW", about: ["resume_token", "elsewhere"] }],
    [0, 2, { code: status.UNAUTHENTICATED, reason: "CREDENTIAL_INVALID" }],
  );
  const events = await client.events();
  for (const sequence of [1n, 2n]) assert.equal((await events.next()).value?.sequence, sequence);
  await assert.rejects(events.next(), { code: "UNAUTHENTICATED", reason: v1.ErrorReason.CREDENTIAL_INVALID });
  assert.deepEqual(server.resumeTokens, ["", "after 1"]);
});

void test("calls and subscriptions are tried six times, createAnyway once", async (t) => {
  const { maxDelay } = TIMES;
  t.after(() => (TIMES.maxDelay = maxDelay));
  TIMES.maxDelay = 10;
  const { server, client } = await scripted(...Array.from({ length: 12 }, () => [{ code: status.UNAVAILABLE }]));
  await assert.rejects(client.retryDelivery({ deliveryId: "0197", createAnyway: true }), { code: "UNAVAILABLE" });
  assert.equal(server.retries, 1);
  await assert.rejects(client.retryDelivery({ deliveryId: "0197" }), { code: "UNAVAILABLE" });
  assert.equal(server.retries, 7);
  await assert.rejects(client.events(), { code: "UNAVAILABLE" });
  assert.equal(server.resumeTokens.length, 6);
});

behaviour("DEADLINE_EXCEEDED", "a subscription that does not start exceeds its deadline", async () => {
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

behaviour("infinite deadlines", "accepts infinite deadlines", async () => {
  for (const deadlineMs of [Infinity, 1e300, 2 ** 31]) {
    const { server } = await scripted([0]);
    const client = connect(server.address, { deadlineMs });
    (await client.events()).close();
    const anyway = { deliveryId: "0197", createAnyway: true };
    await assert.rejects(client.retryDelivery(anyway), { code: "UNAVAILABLE" });
    client.close();
  }
});

void test("reopens a stream that is silent from the start", async (t) => {
  const { silence } = TIMES;
  t.after(() => (TIMES.silence = silence));
  TIMES.silence = 200;
  const { server, client } = await scripted();
  // UNAVAILABLE if there is no time for another attempt.
  await assert.rejects(client.events({}, { deadlineMs: 1_200 }), { code: /^(DEADLINE_EXCEEDED|UNAVAILABLE)$/ });
  assert.ok(server.resumeTokens.length >= 2, String(server.resumeTokens.length));
});
