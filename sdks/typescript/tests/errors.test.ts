import assert from "node:assert/strict";
import { after, before } from "node:test";

import { connect, TicketingError, v1, type Client, type Code } from "@rhythmx/ticketing";

import { newIncident, behaviour, createInJira, Fixture } from "./fixture.js";

let server: Fixture;
let client: Client;
before(async () => {
  server = await Fixture.start();
  client = connect(server.started.address, { token: server.started.tokens.admin });
});
after(async () => {
  client.close();
  await server.stop();
});

async function refused(code: Code, call: Promise<unknown>): Promise<TicketingError> {
  const error = await call.then(() => undefined, (failed: unknown) => failed);
  assert.ok(error instanceof TicketingError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

behaviour("INVALID_ARGUMENT with field violations", "returns every violation", async () => {
  const incident = newIncident({ risk: { score: 120 }, firingRules: [{ name: "", count: 1 }] });
  const error = await refused("INVALID_ARGUMENT", client.createTicket(createInJira(incident)));
  assert.equal(error.reason, v1.ErrorReason.INCIDENT_INVALID);
  const fields = error.violations.map((violation) => violation.field).sort();
  assert.deepEqual(fields, ["incident.firing_rules[0].name", "incident.risk.score"]);
  assert.match(error.message, /incident\.risk\.score: must be/);
});

behaviour("NOT_FOUND", "a missing delivery is not found", async () => {
  const error = await refused("NOT_FOUND", client.getDelivery({ deliveryId: "0197" }));
  assert.equal(error.reason, v1.ErrorReason.DELIVERY_NOT_FOUND);
  assert.deepEqual({ ...error.metadata }, { delivery_id: "0197" });
});

behaviour("FAILED_PRECONDITION", "a delivery whose ticket exists cannot be cancelled", async () => {
  const { delivery } = await client.createTicket(createInJira(newIncident()));
  const error = await refused("FAILED_PRECONDITION", client.cancelDelivery({ deliveryId: delivery!.id }));
  assert.equal(error.reason, v1.ErrorReason.DELIVERY_STATE);
  assert.equal(error.metadata["state"], "DELIVERED");
});

behaviour("UNAUTHENTICATED", "an invalid token is unauthenticated", async () => {
  for (const [options, reason] of [
    [{}, v1.ErrorReason.CREDENTIAL_MISSING],
    [{ token: "rxt_wrong" }, v1.ErrorReason.CREDENTIAL_INVALID],
  ] as const) {
    const unauthenticated = connect(server.started.address, options);
    assert.equal((await refused("UNAUTHENTICATED", unauthenticated.getStatus())).reason, reason);
    await refused("UNAUTHENTICATED", unauthenticated.events());
    unauthenticated.close();
  }
});

behaviour("PERMISSION_DENIED", "a viewer cannot push", async () => {
  const viewer = connect(server.started.address, { token: server.started.tokens.viewer });
  await viewer.getStatus();
  const error = await refused("PERMISSION_DENIED", viewer.createTicket(createInJira(newIncident())));
  assert.equal(error.reason, v1.ErrorReason.ROLE_INSUFFICIENT);
  assert.equal(error.metadata["role"], "viewer");
  viewer.close();
});

behaviour("UNAVAILABLE within the deadline, naming the address", "names an unreachable server", async () => {
  await client.getStatus();
  await server.command("stop");
  const started = performance.now();
  const error = await refused("UNAVAILABLE", client.getStatus({}, { deadlineMs: 2_000 }));
  assert.ok(error.message.includes(server.started.address), error.message);
  await refused("UNAVAILABLE", client.events({}, { deadlineMs: 1_000 }));
  assert.ok(performance.now() - started < 4_000);
  await server.command("start");
});

behaviour("UNAVAILABLE retried until the server is back", "retries until the server is back", async () => {
  await server.command("stop");
  const call = client.createTicket(createInJira(newIncident()));
  await new Promise((resolve) => setTimeout(resolve, 500)); // Until its first retries.
  await server.command("start");
  assert.equal((await call).delivery?.state, v1.DeliveryState.DELIVERED);
});

// Last in this file, since a stopping server waits for delayed attempts.
behaviour("DEADLINE_EXCEEDED", "a late response is DEADLINE_EXCEEDED", async () => {
  await server.command("jira delay");
  // Too short for the server's own answer, which would be that the delivery is in progress.
  const call = client.createTicket(createInJira(newIncident()), { deadlineMs: 1 });
  assert.ok((await refused("DEADLINE_EXCEEDED", call)).message.includes(server.started.address));
});

behaviour("cancellation", "aborting a signal cancels its call, and closing the client every call", async () => {
  const incident = newIncident();
  const signal = AbortSignal.timeout(300);
  await assert.rejects(client.createTicket(createInJira(incident), { signal }), { name: "TimeoutError" });
  // The server continues with what it accepted.
  assert.equal((await client.listDeliveries({ filter: { incidentId: incident.id } })).deliveries.length, 1);
  const other = connect(server.started.address, { token: server.started.tokens.admin });
  setTimeout(() => other.close(), 300);
  const started = performance.now();
  await refused("CANCELLED", other.createTicket(createInJira(newIncident())));
  assert.ok(performance.now() - started < 3_000);
  await refused("CANCELLED", other.getStatus());
});
