//! `ServiceNow` as a [`Vendor`], and its flags.

use std::sync::Arc;

use ticketing_contract::v1;
use ticketing_contract::v1::connection_settings::Settings as NamedSettings;
use ticketing_contract::v1::connection_settings_view::Settings as NamedView;
use ticketing_contract::v1::connection_status::Settings as SettingsView;
use ticketing_contract::v1::test_connection_request::Unsaved;
use ticketing_core::secret::{Secret, SecretKind, SecretUse};
use ticketing_core::system::{System, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_egress::HttpClient;
use ticketing_vendor::{ConnectionChange, ConnectionSettings, Draft, Vendor};

use crate::settings::{Settings, SettingsDraft};
use crate::{ServiceNow, columns, contract};

/// What an operator may know about the instances of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Consecutive refused logins after which ServiceNow locks the account. Fewer calls than that are in flight at a
    /// time, and the login is suspended before that many were refused. 2 to 1,000.
    #[arg(long, env = "TICKETING_SERVICENOW_LOCKOUT_LIMIT", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub servicenow_lockout_limit: u32,
}

/// `ServiceNow`.
#[derive(Debug, Default)]
pub struct ServiceNowVendor {
    flags: Flags,
}

// === impl Flags ===

impl Default for Flags {
    fn default() -> Self {
        Self { servicenow_lockout_limit: 5 }
    }
}

// === impl ServiceNowVendor ===

impl ServiceNowVendor {
    #[must_use]
    pub fn new(flags: Flags) -> Self {
        Self { flags }
    }
}

impl Vendor for ServiceNowVendor {
    fn system(&self) -> System {
        System::ServiceNow
    }

    fn lockout_limit(&self) -> u32 {
        self.flags.servicenow_lockout_limit
    }

    fn empty(&self) -> Draft {
        Draft::new(System::ServiceNow, SettingsDraft::default())
    }

    fn stored(&self, json: serde_json::Value) -> Result<Draft, serde_json::Error> {
        Draft::from_json::<SettingsDraft>(System::ServiceNow, json)
    }

    fn placeholder(&self) -> ConnectionSettings {
        let draft = SettingsDraft {
            instance: Some("https://not-configured.service-now.com".to_owned()),
            username: Some("account".to_owned()),
            ..SettingsDraft::default()
        };
        let mut settings = ConnectionSettings::new(Draft::new(System::ServiceNow, draft));
        settings.secrets.insert(SecretUse::TicketSystem, Secret::new(SecretKind::Password, "unset"));
        settings
    }

    fn take_change(
        &self,
        request: &mut v1::ConfigureRequest,
        _: &mut Violations,
    ) -> Option<ConnectionChange> {
        request.servicenow.take().map(contract::change)
    }

    fn change(&self, settings: &NamedSettings, _: &mut Violations) -> Option<ConnectionChange> {
        match settings {
            NamedSettings::Servicenow(settings) => Some(contract::change(settings.clone())),
            NamedSettings::Jira(_) => None,
        }
    }

    fn unsaved(&self, unsaved: &Unsaved, _: &mut Violations) -> Option<ConnectionChange> {
        match unsaved {
            Unsaved::Servicenow(settings) => Some(contract::change(settings.clone())),
            Unsaved::Jira(_) => None,
        }
    }

    fn view(&self, settings: &ConnectionSettings) -> SettingsView {
        SettingsView::Servicenow(contract::view(settings))
    }

    fn named_view(&self, settings: &ConnectionSettings) -> NamedView {
        NamedView::Servicenow(contract::view(settings))
    }

    fn show(&self, settings: &ConnectionSettings, response: &mut v1::ConfigureResponse) {
        response.servicenow = Some(contract::view(settings));
    }

    fn connect(
        &self,
        draft: &Draft,
        secret: Option<&Secret>,
        client: Option<HttpClient>,
        path: &str,
        violations: &mut Violations,
    ) -> Option<Arc<dyn TicketSystem>> {
        let password = secret.map(|secret| &secret.value);
        let settings = Settings::parse(draft.get(), password, path, violations);
        let mapping = draft.mapping(violations)?;
        columns::check_names(&mapping, violations)?;
        Some(Arc::new(ServiceNow::new(settings?, client?).with_mapping(mapping)))
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
