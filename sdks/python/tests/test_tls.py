"""TLS, to a server that trusts client certificates and shows one of an authority that nobody else trusts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fixture import Fixture, an_incident, create_in_jira

from rhythmx_ticketing import Tls, Unavailable, aio, connect, v1


@pytest.mark.behaviour("TLS with a custom CA and a client certificate")
def test_a_server_and_its_client_know_each_other_by_their_certificates() -> None:
    with Fixture("--tls") as server:
        port = server.address.rpartition(":")[2]
        tls = Tls(ca=server.ca, client_certificate=server.client_certificate, client_key=server.client_key)
        with connect(f"localhost:{port}", tls=tls) as client:
            answer = client.create_ticket(create_in_jira(an_incident()))
            assert answer.delivery.state == v1.DELIVERY_STATE_DELIVERED
            with client.events() as events:
                server.order("restart")
                client.create_ticket(create_in_jira(an_incident()))
                assert next(events).kind == v1.TICKET_EVENT_KIND_ACCEPTED
        # The same, from memory, for asyncio.
        read = [Path(path).read_bytes() for path in (server.ca, server.client_certificate, server.client_key)]

        async def asynchronously() -> None:
            async with aio.connect(f"localhost:{port}", tls=Tls(*read)) as client:
                await client.get_status()

        asyncio.run(asynchronously())
        # The system trusts no such authority.
        with connect(f"localhost:{port}", tls=Tls()) as client, pytest.raises(Unavailable, match="localhost"):
            client.get_status(deadline=2)


def test_a_certificate_goes_with_its_key() -> None:
    with pytest.raises(ValueError, match="go together"):
        Tls(client_certificate="client.pem")


@pytest.mark.parametrize("token", ["", "two words", "no\nheader", "ключ"])
def test_what_can_not_be_a_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        connect("127.0.0.1:1", token=token)
