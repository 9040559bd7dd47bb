// Retries every failed delivery.
import { connectFromEnv, v1 } from "@rhythmx/ticketing";

const client = connectFromEnv();

let pageToken = "";
do {
  const page = await client.listDeliveries({ filter: { states: [v1.DeliveryState.FAILED] }, pageToken });
  for (const { id, incidentId } of page.deliveries) {
    const { delivery } = await client.retryDelivery({ deliveryId: id });
    const state = delivery?.state ?? v1.DeliveryState.UNSPECIFIED;
    console.log(incidentId, v1.DeliveryState[state] ?? state, delivery?.ticket?.url ?? "");
  }
  pageToken = page.nextPageToken;
} while (pageToken);
client.close();
