"""Retries every failed delivery."""

from rhythmx_ticketing import connect_from_env, enum_name, v1

with connect_from_env() as client:
    request = v1.ListDeliveriesRequest(filter=v1.DeliveryFilter(states=[v1.DELIVERY_STATE_FAILED]))
    while True:
        page = client.list_deliveries(request)
        for failed in page.deliveries:
            retried = client.retry_delivery(v1.RetryDeliveryRequest(delivery_id=failed.id)).delivery
            state = enum_name(v1.DeliveryState, retried.state)
            print(failed.incident_id, state, retried.ticket.url)
        request.page_token = page.next_page_token
        if not request.page_token:
            break
