// Connects the service to a Jira, switches auto-push on, and tests the connection to it.
import { connectFromEnv, v1 } from "@rhythmx/ticketing";

const client = connectFromEnv();

const { JIRA_URL = "", JIRA_EMAIL = "", JIRA_API_TOKEN = "", JIRA_PROJECT_KEY = "" } = process.env;
// Absent fields keep their values.
const saved = await client.configure({
  jira: { url: JIRA_URL, email: JIRA_EMAIL, apiToken: JIRA_API_TOKEN, projectKey: JIRA_PROJECT_KEY, enabled: true },
  autoPush: { enabled: true, minimumSeverity: v1.Severity.HIGH },
});
console.log("Tickets go to project", saved.jira?.projectKey, "of", saved.jira?.url);
const { test } = await client.testConnection({ destination: { case: "connection", value: "jira" } });
for (const check of test?.checks ?? []) {
  console.log(v1.CheckOutcome[check.outcome] ?? check.outcome, check.name, check.hint);
}
client.close();
