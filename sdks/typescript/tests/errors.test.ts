import assert from "node:assert/strict";
import { after, before } from "node:test";

import { connect, TicketingError, v1, type Client, type Code } from "@rhythmx/ticketing";

import { anIncident, behaviour, createInJira, Fixture } from "./fixture.js";

let server: Fixture;
let client: Client;
before(async () => {
  server = await Fixture.start();
  client = connect(server.said.address, { token: server.said.tokens.admin });
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

behaviour("INVALID_ARGUMENT with field violations", "a request that breaks rules is told every one", async () => {
  const incident = anIncident({ risk: { score: 120 }, firingRules: [{ name: "", count: 1 }] });
  const error = await refused("INVALID_ARGUMENT", client.createTicket(createInJira(incident)));
  assert.equal(error.reason, v1.ErrorReason.INCIDENT_INVALID);
  const fields = error.violations.map((violation) => violation.field).sort();
  assert.deepEqual(fields, ["incident.firing_rules[0].name", "incident.risk.score"]);
  assert.match(error.message, /incident\.risk\.score: must be/);
});

behaviour("NOT_FOUND", "a delivery that is not there is not found", async () => {
  const error = await refused("NOT_FOUND", client.getDelivery({ deliveryId: "0197" }));
  assert.equal(error.reason, v1.ErrorReason.DELIVERY_NOT_FOUND);
  assert.deepEqual({ ...error.metadata }, { delivery_id: "0197" });
});

behaviour("FAILED_PRECONDITION", "a delivery whose ticket exists cannot be cancelled", async () => {
  const { delivery } = await client.createTicket(createInJira(anIncident()));
  const error = await refused("FAILED_PRECONDITION", client.cancelDelivery({ deliveryId: delivery!.id }));
  assert.equal(error.reason, v1.ErrorReason.DELIVERY_STATE);
  assert.equal(error.metadata["state"], "DELIVERED");
});

behaviour("UNAUTHENTICATED", "a call without a good token is unauthenticated", async () => {
  for (const [options, reason] of [
    [{}, v1.ErrorReason.CREDENTIAL_MISSING],
    [{ token: "rxt_wrong" }, v1.ErrorReason.CREDENTIAL_INVALID],
  ] as const) {
    const stranger = connect(server.said.address, options);
    assert.equal((await refused("UNAUTHENTICATED", stranger.getStatus())).reason, reason);
    await refused("UNAUTHENTICATED", stranger.events());
    stranger.close();
  }
});

behaviour("PERMISSION_DENIED", "a viewer may not push", async () => {
  const viewer = connect(server.said.address, { token: server.said.tokens.viewer });
  await viewer.getStatus();
  const error = await refused("PERMISSION_DENIED", viewer.createTicket(createInJira(anIncident())));
  assert.equal(error.reason, v1.ErrorReason.ROLE_INSUFFICIENT);
  assert.equal(error.metadata["role"], "viewer");
  viewer.close();
});

behaviour("UNAVAILABLE within the deadline, naming the address", "a server that is away is told by its address", async () => {
  await client.getStatus();
  await server.order("away");
  const started = performance.now();
  const error = await refused("UNAVAILABLE", client.getStatus({}, { deadlineMs: 2_000 }));
  assert.ok(error.message.includes(server.said.address), error.message);
  await refused("UNAVAILABLE", client.events({}, { deadlineMs: 1_000 }));
  assert.ok(performance.now() - started < 4_000);
  await server.order("back");
});

behaviour("UNAVAILABLE retried until the server is back", "a call outlasts a restart", async () => {
  await server.order("away");
  const call = client.createTicket(createInJira(anIncident()));
  await new Promise((resolve) => setTimeout(resolve, 500)); // Into its first retries.
  await server.order("back");
  assert.equal((await call).delivery?.state, v1.DeliveryState.DELIVERED);
});

// Of this file the last: the server waits for an attempt that hangs before it stops.
behaviour("DEADLINE_EXCEEDED", "a call that cannot be answered in time exceeds its deadline", async () => {
  await server.order("jira hangs");
  // Too little for the server to answer by: it would say that the delivery is under way.
  const call = client.createTicket(createInJira(anIncident()), { deadlineMs: 1 });
  assert.ok((await refused("DEADLINE_EXCEEDED", call)).message.includes(server.said.address));
});

behaviour("cancellation", "aborting a signal takes its call back, and closing the client every call", async () => {
  const incident = anIncident();
  const signal = AbortSignal.timeout(300);
  await assert.rejects(client.createTicket(createInJira(incident), { signal }), { name: "TimeoutError" });
  // What the server had accepted goes on.
  assert.equal((await client.listDeliveries({ filter: { incidentId: incident.id } })).deliveries.length, 1);
  const other = connect(server.said.address, { token: server.said.tokens.admin });
  setTimeout(() => other.close(), 300);
  const started = performance.now();
  await refused("CANCELLED", other.createTicket(createInJira(anIncident())));
  assert.ok(performance.now() - started < 3_000);
  await refused("CANCELLED", other.getStatus());
});
