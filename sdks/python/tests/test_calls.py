"""Successful calls and the content of messages."""

import asyncio

import pytest
from fixture import Fixture, create_in_jira, new_incident

from rhythmx_ticketing import Client, aio, enum_name, v1


@pytest.mark.behaviour("good calls")
def test_repeated_push_returns_the_same_ticket(server: Fixture, client: Client) -> None:
    before = server.command("creates")["jira"]
    incident = new_incident()
    first = client.create_ticket(create_in_jira(incident))
    again = client.create_ticket(create_in_jira(incident))
    assert first.delivery.state == v1.DELIVERY_STATE_DELIVERED
    assert first.delivery.ticket.key.startswith("SEC-")
    assert not first.already_existed and again.already_existed
    assert again.delivery.ticket == first.delivery.ticket
    assert server.command("creates")["jira"] == before + 1
    kept = client.get_delivery(v1.GetDeliveryRequest(delivery_id=first.delivery.id)).delivery
    assert [attempt.number for attempt in kept.attempts] == [1]
    listed = client.list_deliveries(
        v1.ListDeliveriesRequest(filter=v1.DeliveryFilter(incident_id=incident.id))
    ).deliveries
    assert [delivery.id for delivery in listed] == [first.delivery.id]


@pytest.mark.behaviour("good calls")
def test_absent_settings_keep_their_values(client: Client) -> None:
    before = client.get_status()
    answer = client.configure(v1.ConfigureRequest(retry=v1.RetrySettings(jitter=0.25)))
    assert answer.retry.jitter == 0.25
    assert answer.retry.max_retry_attempts == before.retry.max_retry_attempts
    assert answer.jira.project_key == "SEC"
    client.configure(v1.ConfigureRequest(retry=v1.RetrySettings(jitter=0)))
    entry = client.list_audit_entries(v1.ListAuditEntriesRequest(page_size=1)).entries[0]
    assert (entry.action, entry.outcome) == ("CONFIGURE", "OK")


@pytest.mark.behaviour("good calls")
def test_asyncio_client_has_the_same_calls(server: Fixture) -> None:
    async def calls() -> None:
        async with aio.connect(server.address, token=server.tokens["admin"]) as client:
            incidents = [new_incident() for _ in range(10)]
            answers = await asyncio.gather(*(client.create_ticket(create_in_jira(one)) for one in incidents))
            assert all(answer.delivery.state == v1.DELIVERY_STATE_DELIVERED for answer in answers)
            assert len({answer.delivery.ticket.key for answer in answers}) == 10
            assert {status.connection for status in (await client.get_status()).connections} == {
                "jira",
                "servicenow",
            }

    asyncio.run(calls())


@pytest.mark.behaviour("unicode")
def test_preserves_unicode_text(client: Client) -> None:
    name = "Łukasz 王小明 \u202eرجل\u202c 👩‍💻 e\u0301"
    incident = new_incident(actor=v1.Actor(name=name), investigation_notes="première ligne\n२. पंक्ति 🚨")
    request = v1.PreviewTicketRequest(incident=incident, system=v1.TICKET_SYSTEM_SERVICENOW)
    assert "王小明" in client.preview_ticket(request).ticket.summary
    created = client.create_ticket(create_in_jira(incident))
    assert created.delivery.state == v1.DELIVERY_STATE_DELIVERED
    retrieved = v1.Incident.FromString(incident.SerializeToString())
    assert retrieved.actor.name == name


@pytest.mark.behaviour("large incident")
def test_pushes_incident_of_maximum_size(client: Client) -> None:
    incident = new_incident(
        tactics=[v1.Tactic(id=f"TA{i:04}", name="t" * 256) for i in range(50)],
        techniques=[v1.Technique(id=f"T{i:04}", name="u" * 256) for i in range(200)],
        firing_rules=[
            v1.FiringRule(name=f"{i} " + "r" * 250, count=i + 1, severity=v1.SEVERITY_HIGH)
            for i in range(1_000)
        ],
        investigation_notes="🚨" * 65_536,
    )
    assert len(incident.SerializeToString()) > 500_000
    answer = client.create_ticket(create_in_jira(incident))
    assert answer.delivery.state == v1.DELIVERY_STATE_DELIVERED
    assert answer.delivery.adjustments


@pytest.mark.behaviour("unknown fields and enum values survive")
def test_keeps_unknown_fields_and_enum_values() -> None:
    # kind = 999, and field 1000 = "later".
    newer = b"\x20\xe7\x07" + b"\xc2\x3e\x05later" + v1.TicketEvent(incident_id="INC-1").SerializeToString()
    event = v1.TicketEvent.FromString(newer)
    assert event.kind == 999
    assert event.incident_id == "INC-1"
    again = event.SerializeToString()
    assert b"\xc2\x3e\x05later" in again and b"\x20\xe7\x07" in again
    assert enum_name(v1.TicketEventKind, event.kind) == "999"
    assert enum_name(v1.TicketEventKind, v1.TICKET_EVENT_KIND_FAILED) == "TICKET_EVENT_KIND_FAILED"
    copy = v1.TicketEvent()
    copy.CopyFrom(event)
    assert copy.SerializeToString() == again
