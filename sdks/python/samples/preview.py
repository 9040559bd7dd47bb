"""Shows the ticket of an incident without creating it."""

from datetime import datetime, timezone

from rhythmx_ticketing import connect_from_env, v1

incident = v1.Incident(
    id="INC-2031",
    actor=v1.Actor(name="j.doe", type=v1.ACTOR_TYPE_USER),
    risk=v1.Risk(score=91),
)
incident.timeline.first_alert.FromDatetime(datetime(2026, 3, 1, 8, 0, tzinfo=timezone.utc))
incident.timeline.last_alert.FromDatetime(datetime(2026, 3, 1, 8, 15, tzinfo=timezone.utc))
with connect_from_env() as client:
    request = v1.PreviewTicketRequest(incident=incident, connection="jira")
    ticket = client.preview_ticket(request).ticket
    print(ticket.summary)
    print("Priority:", ticket.priority)
    print(ticket.plain_text)
