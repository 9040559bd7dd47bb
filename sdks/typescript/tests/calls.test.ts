import assert from "node:assert/strict";
import { after, before } from "node:test";

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { connect, v1, type Client } from "@rhythmx/ticketing";

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

behaviour("good calls", "a repeated push returns the same ticket", async () => {
  const before = (await server.command("creates"))["jira"] as number;
  const incident = newIncident();
  const first = await client.createTicket(createInJira(incident));
  const again = await client.createTicket(createInJira(incident));
  assert.equal(first.delivery?.state, v1.DeliveryState.DELIVERED);
  assert.match(first.delivery.ticket?.key ?? "", /^SEC-/);
  assert.deepEqual([first.alreadyExisted, again.alreadyExisted], [false, true]);
  assert.deepEqual(again.delivery?.ticket, first.delivery.ticket);
  assert.equal((await server.command("creates"))["jira"], before + 1);
  const kept = await client.getDelivery({ deliveryId: first.delivery.id });
  assert.deepEqual(kept.delivery?.attempts.map((attempt) => attempt.number), [1]);
  const listed = await client.listDeliveries({ filter: { incidentId: incident.id } });
  assert.deepEqual(listed.deliveries.map((delivery) => delivery.id), [first.delivery.id]);
});

behaviour("good calls", "absent settings keep their values", async () => {
  const before = await client.getStatus();
  const answer = await client.configure({ retry: { jitter: 0.25 } });
  assert.equal(answer.retry?.jitter, 0.25);
  assert.equal(answer.retry.maxRetryAttempts, before.retry?.maxRetryAttempts);
  assert.equal(answer.jira?.projectKey, "SEC");
  await client.configure({ retry: { jitter: 0 } });
  const [entry] = (await client.listAuditEntries({ pageSize: 1 })).entries;
  assert.deepEqual([entry?.action, entry?.outcome], ["CONFIGURE", "OK"]);
});

behaviour("unicode", "preserves Unicode text", async () => {
  const name = "Łukasz 王小明 \u202eرجل\u202c 👩‍💻 e\u0301";
  const incident = newIncident({ actor: { name, type: v1.ActorType.USER }, investigationNotes: "première\nвторая 🚨" });
  const preview = await client.previewTicket({ incident, destination: { case: "system", value: v1.TicketSystem.SERVICENOW } });
  assert.match(preview.ticket?.summary ?? "", /王小明/);
  const created = await client.createTicket(createInJira(incident));
  assert.equal(created.delivery?.state, v1.DeliveryState.DELIVERED);
});

behaviour("large incident", "pushes an incident of maximum size", async () => {
  const many = <T>(length: number, make: (index: number) => T): T[] => Array.from({ length }, (_, index) => make(index));
  const incident = newIncident({
    tactics: many(50, (i) => ({ id: `TA${String(i).padStart(4, "0")}`, name: "t".repeat(256) })),
    techniques: many(200, (i) => ({ id: `T${String(i).padStart(4, "0")}`, name: "u".repeat(256) })),
    firingRules: many(1_000, (i) => ({ name: `${i} ${"r".repeat(250)}`, count: i + 1, severity: v1.Severity.HIGH })),
    investigationNotes: "🚨".repeat(65_536),
  });
  assert.ok(toBinary(v1.IncidentSchema, incident).length > 500_000);
  const answer = await client.createTicket(createInJira(incident));
  assert.equal(answer.delivery?.state, v1.DeliveryState.DELIVERED);
  assert.ok(answer.delivery.adjustments.length > 0);
});

behaviour("unknown fields and enum values survive", "keeps unknown fields and enum values", async () => {
  // kind = 999, and field 1000 = "later".
  const newer = Buffer.from("20e707" + "c23e056c61746572", "hex");
  const event = fromBinary(v1.TicketEventSchema, newer);
  assert.equal(event.kind, 999);
  assert.deepEqual(Buffer.from(toBinary(v1.TicketEventSchema, event)), newer);
});
