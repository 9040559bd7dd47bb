// Pushes an incident to Jira: create.js INCIDENT_ID.
import { connect, v1 } from "@rhythmx/ticketing";

import { incident } from "./incident.js";

const { TICKETING_ADDRESS = "127.0.0.1:50051", TICKETING_TOKEN: token } = process.env;
const client = connect(TICKETING_ADDRESS, token ? { token } : {});

const answer = await client.createTicket({ incident: incident(process.argv[2]!), system: v1.TicketSystem.JIRA });
console.log(v1.DeliveryState[answer.delivery!.state], answer.delivery?.ticket?.url ?? "");
console.log(answer.message);
client.close();
