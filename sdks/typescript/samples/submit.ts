// Offers an incident to auto-push: submit.js INCIDENT_ID.
import { connect } from "@rhythmx/ticketing";

import { incident } from "./incident.js";

const { TICKETING_ADDRESS = "127.0.0.1:50051", TICKETING_TOKEN: token } = process.env;
const client = connect(TICKETING_ADDRESS, token ? { token } : {});

const answer = await client.submitIncident({ incident: incident(process.argv[2]!) });
for (const { decision } of answer.results) {
  console.log(decision?.target, decision?.push ? "pushed" : "skipped", decision?.explanation);
}
client.close();
