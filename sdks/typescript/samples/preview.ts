// Shows the ticket of an incident without creating it.
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
const { ticket } = await client.previewTicket({
  incident,
  destination: { case: "connection", value: "jira" },
});
console.log(ticket?.summary);
console.log("Priority:", ticket?.priority);
console.log(ticket?.plainText);
client.close();
