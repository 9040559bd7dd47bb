"""TLS: trusted authorities and client certificates."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixture import PROGRAM, Fixture, create_in_jira, new_incident

from rhythmx_ticketing import Tls, Unavailable, aio, connect, v1


@pytest.mark.behaviour("TLS with a custom CA and a client certificate")
def test_trusts_a_custom_authority() -> None:
    with Fixture("--tls") as server:
        address = f"localhost:{server.address.rpartition(':')[2]}"
        tls, token = Tls(ca=server.ca), server.tokens["admin"]
        with connect(address, tls=tls, token=token) as client, client.events() as events:
            client.create_ticket(create_in_jira(new_incident()))
            server.command("restart")
            client.create_ticket(create_in_jira(new_incident()))
            sequences = [next(events).sequence for _ in range(6)]
            assert sequences == list(range(sequences[0], sequences[0] + 6))
        # The system does not have this authority. One address only, since grpc reports the error of the last one.
        with connect(server.address, tls=Tls(), token=token) as client:
            with pytest.raises(Unavailable, match=f"CERTIFICATE_VERIFY_FAILED.*{server.address}"):
                client.get_status(deadline=2)
        with connect(server.address) as client, pytest.raises(Unavailable, match="only one side use TLS"):
            client.get_status(deadline=1)


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server that accepts only clients with the certificate in the folder."""
    ticketing = PROGRAM.with_name("ticketing")
    subprocess.run([ticketing, "tls", "dev", f"--out={tmp_path}"], check=True, capture_output=True)
    flags = ["--listen=127.0.0.1:0", f"--data={tmp_path / 'data'}", "--log-format=json", "--auth=certificate"]
    flags += [f"--tls-cert={tmp_path / 'server.pem'}", f"--tls-key={tmp_path / 'server.key'}"]
    flags += [f"--tls-client-ca={tmp_path / 'ca.pem'}"]
    flags += ["--certificate-roles=spiffe://ticketing.test/trial=admin"]
    command = [str(ticketing), "serve", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        entries = (json.loads(line) for line in server.stdout)
        yield next(line["address"] for line in entries if line["message"] == "listening"), tmp_path
        server.terminate()


@pytest.mark.behaviour("TLS with a custom CA and a client certificate")
def test_authenticates_with_a_client_certificate(certified: tuple[str, Path]) -> None:
    address, folder = certified
    files = [folder / name for name in ("ca.pem", "client.pem", "client.key")]
    with connect(address, tls=Tls(*files)) as client:
        client.configure(v1.ConfigureRequest(retry=v1.RetrySettings(max_retry_attempts=3)))
        entry = client.list_audit_entries(v1.ListAuditEntriesRequest()).entries[0]
        assert entry.actor == "certificate:spiffe://ticketing.test/trial"

    async def from_memory() -> None:
        async with aio.connect(address, tls=Tls(*(file.read_bytes() for file in files))) as client:
            assert (await client.get_status()).retry.max_retry_attempts == 3

    asyncio.run(from_memory())
    with connect(address, tls=Tls(ca=files[0])) as client, pytest.raises(Unavailable, match=address):
        client.get_status(deadline=2)


def test_refuses_certificate_without_key() -> None:
    with pytest.raises(ValueError, match="set together"):
        Tls(client_certificate="client.pem")


def test_refuses_files_without_pem(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("garbage")
    with pytest.raises(ValueError, match=r"ca: there is no PEM with CERTIFICATE in .*ca\.pem"):
        connect("localhost:1", tls=Tls(ca=file))
    with pytest.raises(ValueError, match="client_key: there is no PEM"):
        connect("localhost:1", tls=Tls(client_certificate=b"-----BEGIN CERTIFICATE-----", client_key=b"key"))
