"""Shows the ticket that an incident would become: preview.py INCIDENT_ID."""

import os
import sys

from _incident import incident

from rhythmx_ticketing import connect, v1

with connect(os.environ["TICKETING_ADDRESS"], token=os.environ.get("TICKETING_TOKEN")) as client:
    request = v1.PreviewTicketRequest(incident=incident(sys.argv[1]), system=v1.TICKET_SYSTEM_JIRA)
    preview = client.preview_ticket(request)
    print(preview.ticket.priority, preview.ticket.summary)
    print(preview.auto_push.explanation)
