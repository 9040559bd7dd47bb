// Prints what happens to deliveries, for as long as it runs, through restarts of the server.
import { connect, v1 } from "@rhythmx/ticketing";

const { TICKETING_ADDRESS = "127.0.0.1:50051", TICKETING_TOKEN: token } = process.env;
const client = connect(TICKETING_ADDRESS, token ? { token } : {});

const events = await client.events();
console.log("watching");
for await (const event of events) {
  console.log(String(event.sequence), v1.TicketEventKind[event.kind] ?? event.kind, event.incidentId);
}
