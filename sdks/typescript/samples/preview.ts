// Shows the ticket that an incident would become: preview.js INCIDENT_ID.
import { connect, v1 } from "@rhythmx/ticketing";

import { incident } from "./incident.js";

const { TICKETING_ADDRESS = "127.0.0.1:50051", TICKETING_TOKEN: token } = process.env;
const client = connect(TICKETING_ADDRESS, token ? { token } : {});

const preview = await client.previewTicket({ incident: incident(process.argv[2]!), system: v1.TicketSystem.JIRA });
console.log(preview.ticket?.priority, preview.ticket?.summary);
console.log(preview.autoPush?.explanation);
client.close();
