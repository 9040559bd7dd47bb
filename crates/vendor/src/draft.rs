//! Settings of any vendor, typed inside the vendor's crate.

use std::any::Any;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ticketing_core::content_settings::{ContentSettings, Mapping};
use ticketing_core::secret::SecretUse;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;
use ticketing_egress::RouteDraft;

/// The settings of a vendor's connection: any field may be missing or invalid. Secrets are kept separately.
pub trait SettingsDraft:
    fmt::Debug + Clone + PartialEq + Default + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Applies the fields that `patch` sets. An empty text, or an empty list, clears a field.
    fn merge(&mut self, patch: Self);

    /// The origin that the secret for the ticket system is bound to. `None` while the address is absent or invalid.
    fn origin(&self) -> Option<String>;

    /// The route to the ticket system.
    fn route(&self) -> &RouteDraft;

    /// Every called address, by the name of its field: completed if possible, otherwise as entered.
    fn addresses(&self) -> Vec<(&'static str, String)>;
}

/// The settings of a connection, of any vendor.
#[derive(Debug)]
pub struct Draft {
    system: System,
    settings: Box<dyn AnyDraft>,
    /// What is decided about the content of tickets, in the same way for all vendors.
    pub content: ContentSettings,
    /// The name of the connection, for templates. Not a setting: it is not stored or compared.
    pub connection: String,
}

/// The member of the stored form that has the content settings.
const CONTENT: &str = "content";

/// [`SettingsDraft`] as an object.
trait AnyDraft: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn cloned(&self) -> Box<dyn AnyDraft>;
    fn is_equal(&self, other: &dyn AnyDraft) -> bool;
    fn merge_any(&mut self, patch: &dyn AnyDraft);
    fn origin_of(&self) -> Option<String>;
    fn route_of(&self) -> &RouteDraft;
    fn addresses_of(&self) -> Vec<(&'static str, String)>;
    fn to_json(&self) -> serde_json::Result<Value>;
}

// === impl Draft ===

impl Draft {
    #[must_use]
    pub fn new(system: System, settings: impl SettingsDraft) -> Self {
        let connection = system.to_string();
        Self { system, settings: Box::new(settings), content: ContentSettings::default(), connection }
    }

    /// Parses the stored form of [`to_json`](Self::to_json).
    ///
    /// # Errors
    /// If it is not of these settings.
    pub fn from_json<D: SettingsDraft>(system: System, mut json: Value) -> serde_json::Result<Self> {
        let content = json.as_object_mut().and_then(|members| members.remove(CONTENT));
        let content = content.map(serde_json::from_value).transpose()?.unwrap_or_default();
        Ok(Self { content, ..Self::new(system, serde_json::from_value::<D>(json)?) })
    }

    /// Parses the content settings; adds every violation to `violations`, with the field path `content`.
    pub fn mapping(&self, violations: &mut Violations) -> Option<Mapping> {
        Mapping::parse(&self.content, &self.connection, CONTENT, violations)
    }

    #[must_use]
    pub fn system(&self) -> System {
        self.system
    }

    /// The settings, as the vendor's crate declares them.
    ///
    /// # Panics
    /// If `D` is the draft of another vendor.
    #[must_use]
    pub fn get<D: SettingsDraft>(&self) -> &D {
        self.settings.as_any().downcast_ref().expect("a draft is read by the vendor of its system")
    }

    /// Applies the fields that `patch` sets. A patch of another system changes nothing.
    pub fn merge(&mut self, patch: &Self) {
        if self.system == patch.system {
            self.settings.merge_any(patch.settings.as_ref());
            self.content.merge(patch.content.clone());
        }
    }

    /// What a secret is bound to, by its use: its destination and the route. `None` while that is absent or invalid.
    #[must_use]
    pub fn binding(&self, used_for: SecretUse) -> Option<String> {
        match used_for {
            SecretUse::TicketSystem => self.origin(),
            SecretUse::Proxy => self.route().proxy_binding(),
        }
    }

    /// What the secret for the ticket system is bound to.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let origin = self.settings.origin_of()?;
        let route = self.route().binding();
        Some(route.map_or_else(|| origin.clone(), |route| format!("{origin} {route}")))
    }

    /// The route to the ticket system.
    #[must_use]
    pub fn route(&self) -> &RouteDraft {
        self.settings.route_of()
    }

    /// Every called address, by the name of its field.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, String)> {
        self.settings.addresses_of()
    }

    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = self.settings.to_json().expect("settings are made of texts, numbers and lists");
        if let Some(members) = json.as_object_mut().filter(|_| !self.content.is_empty()) {
            let content = serde_json::to_value(&self.content);
            members.insert(CONTENT.to_owned(), content.expect("templates and JSON are JSON"));
        }
        json
    }
}

impl Clone for Draft {
    fn clone(&self) -> Self {
        Self {
            system: self.system,
            settings: self.settings.cloned(),
            content: self.content.clone(),
            connection: self.connection.clone(),
        }
    }
}

impl PartialEq for Draft {
    fn eq(&self, other: &Self) -> bool {
        self.system == other.system
            && self.settings.is_equal(other.settings.as_ref())
            && self.content == other.content
    }
}

// === impl AnyDraft ===

impl<D: SettingsDraft> AnyDraft for D {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn AnyDraft> {
        Box::new(self.clone())
    }

    fn is_equal(&self, other: &dyn AnyDraft) -> bool {
        other.as_any().downcast_ref::<D>().is_some_and(|other| other == self)
    }

    fn merge_any(&mut self, patch: &dyn AnyDraft) {
        if let Some(patch) = patch.as_any().downcast_ref::<D>() {
            self.merge(patch.clone());
        }
    }

    fn origin_of(&self) -> Option<String> {
        self.origin()
    }

    fn route_of(&self) -> &RouteDraft {
        self.route()
    }

    fn addresses_of(&self) -> Vec<(&'static str, String)> {
        self.addresses()
    }

    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}
