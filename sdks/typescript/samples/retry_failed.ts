// Tries every failed delivery once more.
import { connect, v1 } from "@rhythmx/ticketing";

const { TICKETING_ADDRESS = "127.0.0.1:50051", TICKETING_TOKEN: token } = process.env;
const client = connect(TICKETING_ADDRESS, token ? { token } : {});

let pageToken = "";
do {
  const page = await client.listDeliveries({ states: [v1.DeliveryState.FAILED], pageToken });
  for (const { id, incidentId } of page.deliveries) {
    const { delivery } = await client.retryDelivery({ deliveryId: id });
    const state = delivery?.state ?? v1.DeliveryState.UNSPECIFIED;
    console.log(incidentId, v1.DeliveryState[state] ?? state, delivery?.ticket?.url ?? "");
  }
  pageToken = page.nextPageToken;
} while (pageToken);
client.close();
