import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

import { connect, v1 } from "@rhythmx/ticketing";

import { newIncident, behaviour, createInJira, Fixture, PROGRAM } from "./fixture.js";

const BEHAVIOUR = "TLS with a custom CA and a client certificate";

behaviour(BEHAVIOUR, "trusts a custom authority", async () => {
  const server = await Fixture.start("--tls");
  const address = `localhost:${server.started.address.split(":").at(-1)}`;
  const token = server.started.tokens.admin;
  const client = connect(address, { tls: { ca: server.started.ca }, token });
  const events = await client.events();
  await server.command("restart");
  await client.createTicket(createInJira(newIncident()));
  assert.equal((await events.next()).value?.kind, v1.TicketEventKind.ACCEPTED);
  client.close();
  // The system does not have this authority.
  const wary = connect(address, { tls: {}, token });
  await assert.rejects(wary.getStatus({}, { deadlineMs: 2_000 }), { code: "UNAVAILABLE", message: /certificate/ });
  wary.close();
  const plain = connect(server.started.address);
  await assert.rejects(plain.getStatus({}, { deadlineMs: 1_000 }), (error: Error) => {
    return error.message.includes("does only one side use TLS?") && error.message.includes(server.started.address);
  });
  plain.close();
  await server.stop();
});

behaviour(BEHAVIOUR, "authenticates with a client certificate", async () => {
  const ticketing = join(dirname(PROGRAM), "ticketing");
  const folder = mkdtempSync(join(tmpdir(), "ticketing-tls-"));
  const file = (name: string): string => join(folder, name);
  await promisify(execFile)(ticketing, ["tls", "dev", `--out=${folder}`]);
  const flags = ["--listen=127.0.0.1:0", `--data=${file("data")}`, "--log-format=json", "--auth=certificate"];
  flags.push(`--tls-cert=${file("server.pem")}`, `--tls-key=${file("server.key")}`, `--tls-client-ca=${file("ca.pem")}`);
  flags.push("--certificate-roles=spiffe://ticketing.test/trial=admin");
  const server = spawn(ticketing, ["serve", ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  try {
    let address = "";
    for await (const line of createInterface({ input: server.stderr })) {
      const entry = JSON.parse(line) as { message: string; address?: string };
      if (entry.message === "listening") address = entry.address!;
      if (address) break;
    }
    const tls = { ca: readFileSync(file("ca.pem")), clientCertificate: file("client.pem"), clientKey: file("client.key") };
    const client = connect(address, { tls });
    await client.configure({ retry: { maxRetryAttempts: 3 } });
    const [entry] = (await client.listAuditEntries({})).entries;
    assert.equal(entry?.actor, "certificate:spiffe://ticketing.test/trial");
    client.close();
    const anonymous = connect(address, { tls: { ca: file("ca.pem") } });
    await assert.rejects(anonymous.getStatus({}, { deadlineMs: 2_000 }), { code: "UNAVAILABLE" });
    anonymous.close();
  } finally {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill();
    await ended;
    rmSync(folder, { recursive: true });
  }
});
