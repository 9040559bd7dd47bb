// Switches Jira on and proves that it can be reached.
import { connect, v1 } from "@rhythmx/ticketing";

const { TICKETING_ADDRESS = "127.0.0.1:50051", TICKETING_TOKEN: token } = process.env;
const client = connect(TICKETING_ADDRESS, token ? { token } : {});

const { JIRA_URL, JIRA_EMAIL, JIRA_API_TOKEN, JIRA_PROJECT_KEY } = process.env as Record<string, string>;
await client.configure({
  jira: { enabled: true, url: JIRA_URL!, email: JIRA_EMAIL!, apiToken: JIRA_API_TOKEN!, projectKey: JIRA_PROJECT_KEY! },
});
const { test } = await client.testConnection({ system: v1.TicketSystem.JIRA });
for (const check of test?.checks ?? []) {
  console.log(check.passed ? "passed" : "FAILED", check.name, check.hint);
}
client.close();
