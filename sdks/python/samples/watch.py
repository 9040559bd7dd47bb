"""Prints what happens to deliveries, for as long as it runs, through restarts of the server."""

import os

from rhythmx_ticketing import connect, v1

with connect(os.environ["TICKETING_ADDRESS"], token=os.environ.get("TICKETING_TOKEN")) as client:
    with client.events() as events:
        print("watching", flush=True)
        for event in events:
            print(event.sequence, v1.TicketEventKind.Name(event.kind), event.incident_id, flush=True)
