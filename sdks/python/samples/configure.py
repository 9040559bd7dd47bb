"""Connects the service to a Jira, switches auto-push on, and tests the connection to it."""

import os

from rhythmx_ticketing import connect_from_env, enum_name, v1

with connect_from_env() as client:
    # Absent fields keep their values.
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
    test = client.test_connection(v1.TestConnectionRequest(connection="jira")).test
    for check in test.checks:
        print(enum_name(v1.CheckOutcome, check.outcome), check.name, check.hint)
