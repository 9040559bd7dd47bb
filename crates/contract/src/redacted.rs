//! `Debug` of the messages that bear secrets: tells whether a secret is there, never which.

use std::fmt;

use crate::v1::{JiraSettings, ServiceNowSettings};

struct Redacted;

// === impl Redacted ===

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn redacted(secret: &Option<String>) -> Option<Redacted> {
    secret.as_ref().map(|_| Redacted)
}

// === impl JiraSettings ===

impl fmt::Debug for JiraSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JiraSettings")
            .field("enabled", &self.enabled)
            .field("url", &self.url)
            .field("email", &self.email)
            .field("api_token", &redacted(&self.api_token))
            .field("personal_access_token", &redacted(&self.personal_access_token))
            .field("project_key", &self.project_key)
            .field("issue_type", &self.issue_type)
            .field("flavour", &self.flavour)
            .field("cloud_id", &self.cloud_id)
            .field("gateway_url", &self.gateway_url)
            .field("labels", &self.labels)
            // Callers may give an address that contains a login.
            .field("proxy_url", &redacted(&self.proxy_url))
            .field("ca_certificates", &self.ca_certificates)
            .field("proxy_username", &self.proxy_username)
            .field("proxy_password", &redacted(&self.proxy_password))
            .finish()
    }
}

// === impl ServiceNowSettings ===

impl fmt::Debug for ServiceNowSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceNowSettings")
            .field("enabled", &self.enabled)
            .field("instance", &self.instance)
            .field("username", &self.username)
            .field("password", &redacted(&self.password))
            .field("assignment_group", &self.assignment_group)
            .field("table", &self.table)
            .field("priorities", &self.priorities)
            .field("proxy_url", &redacted(&self.proxy_url))
            .field("ca_certificates", &self.ca_certificates)
            .field("proxy_username", &self.proxy_username)
            .field("proxy_password", &redacted(&self.proxy_password))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::v1;

    #[test]
    fn no_secret_of_a_request_can_be_logged() {
        let secret = || Some("hunter2".to_owned());
        let request = v1::ConfigureRequest {
            jira: Some(v1::JiraSettings {
                api_token: secret(),
                personal_access_token: secret(),
                proxy_password: secret(),
                ..Default::default()
            }),
            servicenow: Some(v1::ServiceNowSettings {
                password: secret(),
                proxy_password: secret(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let logged = format!("{request:?}");
        assert!(!logged.contains("hunter2"), "{logged}");
        assert_eq!(logged.matches("Some([redacted])").count(), 5, "{logged}");
    }
}
