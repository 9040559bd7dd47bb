import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { promisify } from "node:util";

import { connect, v1, type Client } from "@rhythmx/ticketing";

import { anIncident, behaviour, createInJira, Fixture, SDK } from "./fixture.js";

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

function environment(): NodeJS.ProcessEnv {
  const { address, tokens, jira } = server.said;
  const settings = Object.entries(jira).map(([name, value]) => [`JIRA_${name.toUpperCase()}`, value]);
  return { ...process.env, ...Object.fromEntries(settings), TICKETING_ADDRESS: address, TICKETING_TOKEN: tokens.admin };
}

async function run(sample: string, ...flags: string[]): Promise<string[]> {
  const program = [`${SDK}/build/samples/${sample}.js`, ...flags];
  const { stdout } = await promisify(execFile)(process.execPath, program, { env: environment(), timeout: 60_000 });
  return stdout.trimEnd().split("\n");
}

behaviour("sample configure", "configure shows every check", async () => {
  const lines = await run("configure");
  assert.ok(lines.every((line) => line.startsWith("passed ")), lines.join());
  assert.ok(lines.some((line) => line.trim() === "passed authentication"));
});

behaviour("sample preview", "preview shows the ticket and the verdict", async () => {
  const [ticket, verdict] = await run("preview", "INC-2031");
  assert.match(ticket!, /^Highest .*j\.doe/);
  assert.match(verdict!, /auto-push is off/);
});

behaviour("sample create", "create prints the ticket's address", async () => {
  const [first, message] = await run("create", `INC-${randomUUID()}`);
  assert.ok(first!.startsWith(`DELIVERED ${server.said.jira.url}/browse/SEC-`), first);
  assert.ok(message);
});

behaviour("sample submit", "submit explains the decision for each system", async () => {
  await client.configure({ autoPush: { enabled: true } });
  const [jira, servicenow] = await run("submit", `INC-${randomUUID()}`);
  await client.configure({ autoPush: { enabled: false } });
  assert.match(jira!, /^jira pushed/);
  assert.match(servicenow!, /^servicenow skipped/);
});

behaviour("sample watch", "watch prints each event of a push, through a restart", async () => {
  const watch = spawn(process.execPath, [`${SDK}/build/samples/watch.js`], {
    env: environment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: watch.stdout })[Symbol.asyncIterator]();
  try {
    assert.equal((await lines.next()).value, "watching");
    for (let round = 0; round < 2; round++) {
      const incident = anIncident();
      await client.createTicket(createInJira(incident));
      for (const kind of ["ACCEPTED", "ATTEMPT_STARTED", "DELIVERED"]) {
        const line = (await lines.next()).value as string;
        assert.equal(line.replace(/^\d+ /, ""), `${kind} ${incident.id}`);
      }
      await server.order("restart");
    }
  } finally {
    watch.kill();
  }
});

behaviour("sample retry_failed", "retry_failed tries what was given up", async () => {
  await server.order("jira refuses");
  const incident = anIncident();
  let { delivery } = await client.createTicket(createInJira(incident));
  for (let waited = 0; delivery!.state !== v1.DeliveryState.FAILED && waited < 300; waited++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    ({ delivery } = await client.getDelivery({ deliveryId: delivery!.id }));
  }
  await server.order("jira fair");
  const lines = await run("retry_failed");
  assert.equal(lines.length, 1);
  assert.ok(lines[0]!.startsWith(`${incident.id} DELIVERED ${server.said.jira.url}/browse/SEC-`), lines[0]);
});
