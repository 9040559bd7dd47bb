import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { connect, v1, type Client } from "@rhythmx/ticketing";

import { newIncident, behaviour, createInJira, Fixture, SDK } from "./fixture.js";
import { ScriptedServer } from "./scripted-server.js";

let server: Fixture;
let client: Client;
// A project with only the package installed, as `npm install` does from a checkout.
const project = mkdtempSync(join(tmpdir(), "ticketing-samples-"));
before(async () => {
  mkdirSync(join(project, "node_modules/@rhythmx"), { recursive: true });
  symlinkSync(SDK, join(project, "node_modules/@rhythmx/ticketing"));
  for (const sample of readdirSync(join(SDK, "samples"))) {
    const text = readFileSync(join(SDK, "samples", sample), "utf8");
    // Several pages instead of one.
    writeFileSync(join(project, sample.replace(/\.ts$/, ".mts")), text.replace("pageToken }", "pageToken, pageSize: 1 }"));
  }
  const types = ["--typeRoots", join(SDK, "node_modules/@types"), "--types", "node"];
  const strictness = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"];
  const files = readdirSync(project).filter((name) => name.endsWith(".mts"));
  const compiler = [join(SDK, "node_modules/typescript/bin/tsc"), "--module", "nodenext", "--target", "es2022"];
  await promisify(execFile)(process.execPath, [...compiler, ...strictness, ...types, ...files], { cwd: project });
  server = await Fixture.start();
  client = connect(server.started.address, { token: server.started.tokens.admin });
});
after(async () => {
  rmSync(project, { recursive: true });
  client.close();
  await server.stop();
});

function environment(): NodeJS.ProcessEnv {
  const { address, tokens, jira } = server.started;
  const settings = Object.entries(jira).map(([name, value]) => [`JIRA_${name.toUpperCase()}`, value]);
  return { ...process.env, ...Object.fromEntries(settings), TICKETING_ADDRESS: address, TICKETING_TOKEN: tokens.admin };
}

async function run(sample: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(project, `${sample}.mjs`)], { env: environment(), timeout: 60_000 });
  return stdout.trimEnd().split("\n");
}

void test("require and import load the package, with types", async () => {
  const body = 'const client = connectFromEnv();\nconsole.log(typeof client.getStatus, v1.TicketSystem.JIRA);\nclient.close();\n';
  writeFileSync(join(project, "required.cts"), `import { connectFromEnv, v1 } from "@rhythmx/ticketing";\n${body}`);
  writeFileSync(join(project, "imported.mts"), `import { connectFromEnv, v1 } from "@rhythmx/ticketing";\n${body}`);
  const types = ["--typeRoots", join(SDK, "node_modules/@types"), "--types", "node", "--strict"];
  const compiler = [join(SDK, "node_modules/typescript/bin/tsc"), "--module", "nodenext", "--target", "es2022", ...types];
  await promisify(execFile)(process.execPath, [...compiler, "required.cts", "imported.mts"], { cwd: project });
  assert.match(readFileSync(join(project, "required.cjs"), "utf8"), /require\("@rhythmx\/ticketing"\)/);
  // Older releases of Node 20 cannot require ES modules.
  for (const file of ["required.cjs", "imported.mjs"]) {
    const { stdout } = await promisify(execFile)(process.execPath, [join(project, file)], { env: environment() });
    assert.equal(stdout, "function 1\n", file);
  }
});

void test("the package includes the license", () => {
  assert.deepEqual(readFileSync(join(SDK, "LICENSE")), readFileSync(join(SDK, "../../LICENSE")));
});

behaviour("sample configure", "configure enables auto-push and prints checks", async () => {
  const [saved, ...checks] = await run("configure");
  assert.equal(saved, `Tickets go to project SEC of ${server.started.jira.url}`);
  assert.ok(checks.length > 0 && !checks.some((line) => line.startsWith("FAILED ")), checks.join());
  assert.ok(checks.some((line) => line.trim() === "PASSED authentication"));
  assert.equal((await client.getStatus()).autoPush?.enabled, true);
  await client.configure({ autoPush: { enabled: false } });
});

behaviour("sample preview", "preview prints the ticket", async () => {
  const [summary, priority, ...text] = await run("preview");
  assert.match(summary!, /j\.doe/);
  assert.match(priority!, /^Priority: High/);
  assert.ok(text.some((line) => line.includes("j.doe")));
});

behaviour("sample create", "create prints the URL of the ticket", async () => {
  const lines = await run("create");
  assert.equal(lines.length, 1);
  assert.ok(lines[0]!.includes(` ${server.started.jira.url}/browse/SEC-`), lines[0]);
});

behaviour("sample submit", "submit prints the decision for each system", async () => {
  await client.configure({ autoPush: { enabled: true } });
  const [jira, servicenow] = await run("submit");
  await client.configure({ autoPush: { enabled: false } });
  assert.match(jira!, /^jira pushed/);
  assert.match(servicenow!, /^servicenow skipped/);
});

behaviour("sample watch", "watch prints events across a restart", async () => {
  const watch = spawn(process.execPath, [join(project, "watch.mjs")], {
    env: environment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: watch.stdout })[Symbol.asyncIterator]();
  try {
    assert.equal((await lines.next()).value, "watching");
    for (let round = 0; round < 2; round++) {
      const incident = newIncident();
      await client.createTicket(createInJira(incident));
      for (const kind of ["ACCEPTED", "ATTEMPT_STARTED", "DELIVERED"]) {
        const line = (await lines.next()).value as string;
        assert.deepEqual(line.split(" ").slice(1, 3), [kind, incident.id]);
      }
      await server.command("restart");
    }
  } finally {
    watch.kill();
  }
});

behaviour("unknown fields and enum values survive", "watch prints the number of an unknown kind", async () => {
  const scripted = await ScriptedServer.start([0, 1, 99]);
  const env = { ...process.env, TICKETING_ADDRESS: scripted.address };
  const watch = spawn(process.execPath, [join(project, "watch.mjs")], { env, stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: watch.stdout })[Symbol.asyncIterator]();
  const found = [await lines.next(), await lines.next(), await lines.next()].map(({ value }) => String(value).trim());
  assert.deepEqual(found, ["watching", "1 ACCEPTED", "99 99"]);
  watch.kill();
  scripted.stop();
});

behaviour("sample retry_failed", "retry_failed retries page by page", async () => {
  await server.command("jira reject");
  const incidents = [newIncident(), newIncident(), newIncident()];
  for (const incident of incidents) {
    let { delivery } = await client.createTicket(createInJira(incident));
    for (let waited = 0; delivery!.state !== v1.DeliveryState.FAILED && waited < 300; waited++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      ({ delivery } = await client.getDelivery({ deliveryId: delivery!.id }));
    }
  }
  await server.command("jira ok");
  const lines = (await run("retry_failed")).map((line) => line.split(" "));
  assert.deepEqual(lines.map(([id]) => id).sort(), incidents.map(({ id }) => id).sort());
  for (const [, state, url] of lines) {
    assert.equal(state, "DELIVERED");
    assert.ok(url!.startsWith(`${server.started.jira.url}/browse/SEC-`), url);
  }
});
