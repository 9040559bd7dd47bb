// Pushes an incident to Jira, and waits for the first attempt.
import { connectFromEnv, timestampFromDate, v1 } from "@rhythmx/ticketing";

const client = connectFromEnv();

const incident = {
  id: "INC-2031",
  actor: { name: "j.doe", type: v1.ActorType.USER },
  risk: { score: 91 },
  timeline: {
    firstAlert: timestampFromDate(new Date("2026-03-01T08:00:00Z")),
    lastAlert: timestampFromDate(new Date("2026-03-01T08:15:00Z")),
  },
};
const { message, delivery } = await client.createTicket({
  incident,
  destination: { case: "connection", value: "jira" },
});
// There is no ticket while it waits to be tried again: the message says when and why.
console.log(message, delivery?.ticket?.url ?? "");
client.close();
