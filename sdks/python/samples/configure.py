"""Connects the service to a Jira, switches auto-push on, and proves that the Jira can be reached."""

import os

from rhythmx_ticketing import connect, v1

address = os.environ.get("TICKETING_ADDRESS", "127.0.0.1:50051")
with connect(address, token=os.environ.get("TICKETING_TOKEN")) as client:
    # What is absent stays as it is.
    jira = v1.JiraSettings(
        url=os.environ["JIRA_URL"],
        email=os.environ["JIRA_EMAIL"],
        api_token=os.environ["JIRA_API_TOKEN"],
        project_key=os.environ["JIRA_PROJECT_KEY"],
        enabled=True,
    )
    auto_push = v1.AutoPushSettings(enabled=True, minimum_severity=v1.SEVERITY_HIGH)
    saved = client.configure(v1.ConfigureRequest(jira=jira, auto_push=auto_push))
    print("Tickets go to project", saved.jira.project_key, "of", saved.jira.url)
    test = client.test_connection(v1.TestConnectionRequest(system=v1.TICKET_SYSTEM_JIRA)).test
    for check in test.checks:
        print("passed" if check.passed else "FAILED", check.name, check.hint)
