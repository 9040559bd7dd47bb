// Prints the events of deliveries until it is interrupted, across restarts of the server.
import { connectFromEnv, v1 } from "@rhythmx/ticketing";

const client = connectFromEnv();

const events = await client.events();
console.log("watching");
for await (const { sequence, kind, incidentId, delivery } of events) {
  // A kind that is newer than the package has no name yet.
  console.log(String(sequence), v1.TicketEventKind[kind] ?? kind, incidentId, delivery?.ticket?.key ?? "");
}
