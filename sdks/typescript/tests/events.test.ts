import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { connect, TicketingError, v1, type Client } from "@rhythmx/ticketing";

import { newIncident, behaviour, createInJira, Fixture } from "./fixture.js";

const PUSHES = 30;

let server: Fixture;
let client: Client;
before(async () => {
  server = await Fixture.start();
  client = connect(server.started.address, { token: server.started.tokens.admin });
  await client.configure({ autoPush: { enabled: true } });
});
after(async () => {
  client.close();
  await server.stop();
});

for (const command of ["restart", "kill"]) {
  behaviour(`events resumed across a ${command}`, `events arrive once and in order (${command})`, async () => {
    const incidents = Array.from({ length: PUSHES }, () => newIncident());
    const last = newIncident();
    const events = await client.events();
    let breaking: Promise<unknown> = Promise.resolve();
    const pushing = (async () => {
      for (const [number, incident] of incidents.entries()) {
        await client.submitIncident({ incident });
        if (number === PUSHES / 3) breaking = server.command(command).then(() => server.command(command));
      }
      await breaking;
      await client.createTicket(createInJira(last));
    })();
    const sequences: bigint[] = [];
    const accepted: string[] = [];
    for await (const event of events) {
      sequences.push(event.sequence);
      if (event.kind === v1.TicketEventKind.ACCEPTED) accepted.push(event.incidentId);
      if (event.incidentId === last.id && event.kind === v1.TicketEventKind.DELIVERED) break;
    }
    await pushing;
    assert.deepEqual(sequences, sequences.map((_, index) => sequences[0]! + BigInt(index)));
    assert.deepEqual(accepted, [...incidents, last].map((incident) => incident.id));
  });
}

test("resumes after a stored token", async () => {
  const events = await client.events();
  assert.notEqual(events.resumeToken, "");
  await client.createTicket(createInJira(newIncident()));
  const first = (await events.next()).value!;
  assert.equal(events.resumeToken, first.resumeToken);
  const second = (await events.next()).value!;
  events.close();
  const later = await client.events({ start: { case: "resumeToken", value: first.resumeToken } });
  assert.deepEqual((await later.next()).value, second);
  later.close();
});

behaviour("cancellation", "closing a subscription ends its loop, and aborting its signal fails it", async () => {
  const events = await client.events();
  setTimeout(() => events.close(), 200);
  for await (const event of events) assert.fail(String(event.sequence));
  const aborted = await client.events({}, { signal: AbortSignal.timeout(200) });
  await assert.rejects(aborted.next(), { name: "TimeoutError" });
});

behaviour("events end with a typed error when the token is refused", "a refused token ends the subscription", async () => {
  const error = await client.events({ start: { case: "resumeToken", value: "yesterday" } }).catch((failed) => failed);
  assert.ok(error instanceof TicketingError);
  assert.deepEqual([error.code, error.reason], ["INVALID_ARGUMENT", v1.ErrorReason.RESUME_TOKEN_INVALID]);
});
