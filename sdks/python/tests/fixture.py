"""`sdk-fixture`, and incidents to push."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from rhythmx_ticketing import v1

SDK = Path(__file__).resolve().parent.parent
PROGRAM = Path(os.environ.get("TICKETING_FIXTURE", SDK / "../../target/debug/sdk-fixture"))


class Fixture:
    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started = self._answer()
        self.address: str = started["address"]
        self.relay: str = started["relay"]
        self.tokens: dict[str, str] = started["tokens"]
        self.jira: dict[str, str] = started["jira"]
        self.ca: str = started["ca"]
        self.client_certificate: str = started["client_cert"]
        self.client_key: str = started["client_key"]

    def command(self, command: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert "error" not in answer, answer
        return answer

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.command("stop")
        try:
            yield
        finally:
            self.command("start")

    def __enter__(self) -> Fixture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{PROGRAM} ended"
        return json.loads(line)


def new_incident(**fields: Any) -> v1.Incident:
    """A new incident, severe enough for auto-push."""
    made = v1.Incident(
        id=f"INC-{uuid.uuid4()}",
        actor=v1.Actor(name="j.doe", type=v1.ACTOR_TYPE_USER),
        risk=v1.Risk(score=91.5, level=v1.RISK_LEVEL_CRITICAL),
    )
    made.timeline.first_alert.seconds = 1_772_352_000
    made.timeline.last_alert.seconds = 1_772_352_900
    made.MergeFrom(v1.Incident(**fields))
    return made


def create_in_jira(incident: v1.Incident) -> v1.CreateTicketRequest:
    return v1.CreateTicketRequest(incident=incident, system=v1.TICKET_SYSTEM_JIRA)
