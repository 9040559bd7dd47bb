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
// No ticket exists while the delivery waits for a retry; the message has the time and the reason.
console.log(message, delivery?.ticket?.url ?? "");
client.close();
