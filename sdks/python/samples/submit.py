"""Offers an incident to auto-push: submit.py INCIDENT_ID."""

import os
import sys

from _incident import incident

from rhythmx_ticketing import connect, v1

with connect(os.environ["TICKETING_ADDRESS"], token=os.environ.get("TICKETING_TOKEN")) as client:
    answer = client.submit_incident(v1.SubmitIncidentRequest(incident=incident(sys.argv[1])))
    for result in answer.results:
        verdict = "pushed" if result.decision.push else "skipped"
        print(result.decision.target, verdict, result.decision.explanation)
