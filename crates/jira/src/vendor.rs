//! Jira as a [`Vendor`], and its flags.

use std::sync::Arc;
use std::time::Duration;

use ticketing_contract::v1;
use ticketing_contract::v1::connection_settings::Settings as NamedSettings;
use ticketing_contract::v1::connection_settings_view::Settings as NamedView;
use ticketing_contract::v1::connection_status::Settings as SettingsView;
use ticketing_contract::v1::test_connection_request::Unsaved;
use ticketing_core::duration;
use ticketing_core::secret::{Secret, SecretKind, SecretUse};
use ticketing_core::system::{System, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_egress::HttpClient;
use ticketing_vendor::{ConnectionChange, ConnectionSettings, Draft, Vendor};

use crate::settings::{Settings, SettingsDraft};
use crate::{Jira, contract, fields};

/// What an operator may know about the Jira of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// How long Jira Cloud's search index may lag behind its tickets.
    #[arg(long, env = "TICKETING_JIRA_CLOUD_INDEX_BOUND", default_value = "180s", value_parser = duration::parse)]
    pub jira_cloud_index_bound: Duration,

    /// How long the search index of Jira Data Center may lag behind its tickets.
    #[arg(long, env = "TICKETING_JIRA_DATA_CENTER_INDEX_BOUND", default_value = "900s", value_parser = duration::parse)]
    pub jira_data_center_index_bound: Duration,

    /// Consecutive refused logins after which Jira Data Center requires a CAPTCHA. With a password, fewer calls than
    /// that are in flight at a time, and the login is suspended before that many were refused. 2 to 1,000.
    #[arg(long, env = "TICKETING_JIRA_LOCKOUT_LIMIT", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub jira_lockout_limit: u32,
}

/// Jira Cloud and Data Center.
#[derive(Debug, Default)]
pub struct JiraVendor {
    flags: Flags,
}

// === impl Flags ===

impl Default for Flags {
    fn default() -> Self {
        Self {
            jira_cloud_index_bound: Duration::from_secs(180),
            jira_data_center_index_bound: Duration::from_secs(900),
            jira_lockout_limit: 3,
        }
    }
}

// === impl JiraVendor ===

impl JiraVendor {
    #[must_use]
    pub fn new(flags: Flags) -> Self {
        Self { flags }
    }
}

impl Vendor for JiraVendor {
    fn system(&self) -> System {
        System::Jira
    }

    fn lockout_limit(&self) -> u32 {
        self.flags.jira_lockout_limit
    }

    fn empty(&self) -> Draft {
        Draft::new(System::Jira, SettingsDraft::default())
    }

    fn stored(&self, json: serde_json::Value) -> Result<Draft, serde_json::Error> {
        Draft::from_json::<SettingsDraft>(System::Jira, json)
    }

    fn placeholder(&self) -> ConnectionSettings {
        let draft = SettingsDraft {
            url: Some("https://not-configured.atlassian.net".to_owned()),
            email: Some("account@not-configured.example".to_owned()),
            project_key: Some("PROJECT".to_owned()),
            ..SettingsDraft::default()
        };
        let mut settings = ConnectionSettings::new(Draft::new(System::Jira, draft));
        settings.secrets.insert(SecretUse::TicketSystem, Secret::new(SecretKind::ApiToken, "unset"));
        settings
    }

    fn take_change(
        &self,
        request: &mut v1::ConfigureRequest,
        violations: &mut Violations,
    ) -> Option<ConnectionChange> {
        request.jira.take().map(|settings| contract::change(settings, violations))
    }

    fn change(&self, settings: &NamedSettings, violations: &mut Violations) -> Option<ConnectionChange> {
        match settings {
            NamedSettings::Jira(settings) => Some(contract::change(settings.clone(), violations)),
            NamedSettings::Servicenow(_) => None,
        }
    }

    fn unsaved(&self, unsaved: &Unsaved, violations: &mut Violations) -> Option<ConnectionChange> {
        match unsaved {
            Unsaved::Jira(settings) => Some(contract::change(settings.clone(), violations)),
            Unsaved::Servicenow(_) => None,
        }
    }

    fn view(&self, settings: &ConnectionSettings) -> SettingsView {
        SettingsView::Jira(contract::view(settings))
    }

    fn named_view(&self, settings: &ConnectionSettings) -> NamedView {
        NamedView::Jira(contract::view(settings))
    }

    fn show(&self, settings: &ConnectionSettings, response: &mut v1::ConfigureResponse) {
        response.jira = Some(contract::view(settings));
    }

    fn connect(
        &self,
        draft: &Draft,
        secret: Option<&Secret>,
        client: Option<HttpClient>,
        path: &str,
        violations: &mut Violations,
    ) -> Option<Arc<dyn TicketSystem>> {
        let settings = Settings::parse(draft.get(), secret, path, violations);
        let mapping = draft.mapping(violations)?;
        fields::check_names(&mapping, violations)?;
        Some(Arc::new(Jira::new(settings?, client?, self.flags).with_mapping(mapping)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn default_flags_are_the_documented_ones() {
        assert_eq!(Cli::parse_from(["ticketing"]).flags, Flags::default());
    }
}
