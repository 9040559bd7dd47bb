"""Pushes an incident to Jira, and waits for the first attempt."""

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
    request = v1.CreateTicketRequest(incident=incident, connection="jira")
    answer = client.create_ticket(request)
    # No ticket exists while the delivery waits for a retry; the message has the time and the reason.
    print(answer.message, answer.delivery.ticket.url)
