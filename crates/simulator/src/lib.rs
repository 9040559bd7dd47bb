//! Jira Cloud, Jira Data Center and ServiceNow over real HTTP, from the vendors' documents, with scripted weather.
