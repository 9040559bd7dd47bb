"""Pushes an incident to Jira: create.py INCIDENT_ID."""

import os
import sys

from _incident import incident

from rhythmx_ticketing import connect, v1

with connect(os.environ["TICKETING_ADDRESS"], token=os.environ.get("TICKETING_TOKEN")) as client:
    request = v1.CreateTicketRequest(incident=incident(sys.argv[1]), system=v1.TICKET_SYSTEM_JIRA)
    answer = client.create_ticket(request)
    print(v1.DeliveryState.Name(answer.delivery.state), answer.delivery.ticket.url)
    print(answer.message)
