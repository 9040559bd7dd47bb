"""An incident to try the samples with."""

from datetime import datetime, timezone

from rhythmx_ticketing import v1


def incident(incident_id: str) -> v1.Incident:
    made = v1.Incident(
        id=incident_id,
        url=f"https://rhythmx.example/incidents/{incident_id}",
        actor=v1.Actor(name="j.doe", type=v1.ACTOR_TYPE_USER, entity="Finance"),
        risk=v1.Risk(score=91.5, level=v1.RISK_LEVEL_CRITICAL),
        firing_rules=[v1.FiringRule(name="Impossible travel", count=3)],
    )
    made.timeline.first_alert.FromDatetime(datetime(2026, 3, 1, 8, 0, tzinfo=timezone.utc))
    made.timeline.last_alert.FromDatetime(datetime(2026, 3, 1, 8, 15, tzinfo=timezone.utc))
    return made
