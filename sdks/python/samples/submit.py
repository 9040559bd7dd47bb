"""Submits an incident to auto-push, which decides by its severity."""

from datetime import datetime, timezone

from rhythmx_ticketing import connect_from_env, v1

incident = v1.Incident(
    id="INC-2032",
    actor=v1.Actor(name="j.doe", type=v1.ACTOR_TYPE_USER),
    risk=v1.Risk(score=91),
)
incident.timeline.first_alert.FromDatetime(datetime(2026, 3, 1, 8, 0, tzinfo=timezone.utc))
incident.timeline.last_alert.FromDatetime(datetime(2026, 3, 1, 8, 15, tzinfo=timezone.utc))
with connect_from_env() as client:
    answer = client.submit_incident(v1.SubmitIncidentRequest(incident=incident))
    for result in answer.results:
        verdict = "pushed" if result.decision.push else "skipped"
        print(result.decision.connection, verdict, result.decision.explanation)
