"""Prints the events of deliveries until it is interrupted, across restarts of the server."""

from rhythmx_ticketing import connect_from_env, enum_name, v1

with connect_from_env() as client:
    with client.events() as events:
        print("watching", flush=True)
        for event in events:
            kind = enum_name(v1.TicketEventKind, event.kind)
            print(event.sequence, kind, event.incident_id, event.delivery.ticket.key, flush=True)
