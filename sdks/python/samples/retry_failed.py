"""Tries every delivery again whose retries are spent."""

import os

from rhythmx_ticketing import connect, v1

with connect(os.environ["TICKETING_ADDRESS"], token=os.environ.get("TICKETING_TOKEN")) as client:
    request = v1.ListDeliveriesRequest(states=[v1.DELIVERY_STATE_FAILED], page_size=500)
    for delivery in client.list_deliveries(request).deliveries:
        retried = client.retry_delivery(v1.RetryDeliveryRequest(delivery_id=delivery.id)).delivery
        print(delivery.incident_id, v1.DeliveryState.Name(retried.state), retried.ticket.url)
