"""Switches Jira on and proves that it can be reached."""

import os

from rhythmx_ticketing import connect, v1

with connect(os.environ["TICKETING_ADDRESS"], token=os.environ.get("TICKETING_TOKEN")) as client:
    jira = v1.JiraSettings(
        enabled=True,
        url=os.environ["JIRA_URL"],
        email=os.environ["JIRA_EMAIL"],
        api_token=os.environ["JIRA_API_TOKEN"],
        project_key=os.environ["JIRA_PROJECT_KEY"],
    )
    client.configure(v1.ConfigureRequest(jira=jira))
    test = client.test_connection(v1.TestConnectionRequest(system=v1.TICKET_SYSTEM_JIRA)).test
    for check in test.checks:
        print("passed" if check.passed else "FAILED", check.name, check.hint)
