// Submits an incident to auto-push, which decides by its severity.
import { connectFromEnv, timestampFromDate, v1 } from "@rhythmx/ticketing";

const client = connectFromEnv();

const incident = {
  id: "INC-2032",
  actor: { name: "j.doe", type: v1.ActorType.USER },
  risk: { score: 91 },
  timeline: {
    firstAlert: timestampFromDate(new Date("2026-03-01T08:00:00Z")),
    lastAlert: timestampFromDate(new Date("2026-03-01T08:15:00Z")),
  },
};
const { results } = await client.submitIncident({ incident });
for (const { decision } of results) {
  console.log(decision?.connection, decision?.push ? "pushed" : "skipped", decision?.explanation);
}
client.close();
