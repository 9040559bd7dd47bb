// Tries every delivery again whose retries are spent.
import { connect, v1 } from "@rhythmx/ticketing";

const { TICKETING_ADDRESS = "127.0.0.1:50051", TICKETING_TOKEN: token } = process.env;
const client = connect(TICKETING_ADDRESS, token ? { token } : {});

const { deliveries } = await client.listDeliveries({ states: [v1.DeliveryState.FAILED], pageSize: 500 });
for (const { id, incidentId } of deliveries) {
  const { delivery } = await client.retryDelivery({ deliveryId: id });
  console.log(incidentId, v1.DeliveryState[delivery!.state], delivery?.ticket?.url ?? "");
}
client.close();
