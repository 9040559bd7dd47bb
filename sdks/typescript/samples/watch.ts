// Prints what happens to deliveries, until it is interrupted, through restarts of the server.
import { connect, v1 } from "@rhythmx/ticketing";

const { TICKETING_ADDRESS = "127.0.0.1:50051", TICKETING_TOKEN: token } = process.env;
const client = connect(TICKETING_ADDRESS, token ? { token } : {});

const events = await client.events();
console.log("watching");
for await (const { sequence, kind, incidentId, delivery } of events) {
  // A kind that is newer than the package has no name yet.
  console.log(String(sequence), v1.TicketEventKind[kind] ?? kind, incidentId, delivery?.ticket?.key ?? "");
}
