//! Settings of a ServiceNow connection, as stored and as validated.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use ticketing_core::pasted;
use ticketing_core::violation::Violations;
use ticketing_egress::RouteDraft;
use url::Url;

use crate::instance;
use crate::priority::{ImpactUrgency, PriorityMatrix};

/// The limits of the settings. Lengths are in characters.
mod limits {
    pub(super) const INSTANCE: usize = 2_048;
    pub(super) const USERNAME: usize = 255;
    pub(super) const PASSWORD: usize = 4_096;
    pub(super) const ASSIGNMENT_GROUP: usize = 255;
    pub(super) const TABLE: usize = 80;
}

/// Maximum level of impact and urgency. An instance has three of each; its administrator may add more.
const LEVELS: std::ops::RangeInclusive<u32> = 1..=5;

const DEFAULT_TABLE: &str = "incident";

/// The stored settings: any field may be missing or invalid. The password is stored separately.
#[derive(Default, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsDraft {
    /// A name, a host, or a URL.
    pub instance: Option<String>,
    pub username: Option<String>,
    /// A name or a `sys_id`.
    pub assignment_group: Option<String>,
    /// Default `incident`.
    pub table: Option<String>,
    pub priorities: PrioritiesDraft,
    /// URL of the instance for people, if that is not `instance`.
    pub public_url: Option<String>,
    #[serde(flatten)]
    pub route: RouteDraft,
}

/// Deviations from the default impact and urgency of the risk levels.
#[derive(Default, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrioritiesDraft {
    pub critical: Option<ImpactUrgencyDraft>,
    pub high: Option<ImpactUrgencyDraft>,
    pub medium: Option<ImpactUrgencyDraft>,
    pub low: Option<ImpactUrgencyDraft>,
}

/// Impact and urgency as entered, each expected to be 1 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImpactUrgencyDraft {
    pub impact: u32,
    pub urgency: u32,
}

/// Valid settings. [`Settings::parse`] is the only constructor.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) instance: Url,
    pub(crate) username: String,
    pub(crate) password: SecretString,
    pub(crate) assignment_group: Option<AssignmentGroup>,
    pub(crate) table: String,
    pub(crate) priorities: PriorityMatrix,
    /// URL of the instance for people.
    pub(crate) public: Url,
}

/// The assignment group of tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssignmentGroup {
    Name(String),
    /// 32 hex digits.
    SysId(String),
}

// === impl SettingsDraft ===

impl ticketing_vendor::SettingsDraft for SettingsDraft {
    fn merge(&mut self, patch: Self) {
        merge_text(&mut self.instance, patch.instance);
        merge_text(&mut self.username, patch.username);
        merge_text(&mut self.assignment_group, patch.assignment_group);
        merge_text(&mut self.table, patch.table);
        merge_text(&mut self.public_url, patch.public_url);
        self.route.merge(patch.route);
        let mine = &mut self.priorities;
        let theirs = patch.priorities;
        mine.critical = theirs.critical.or(mine.critical);
        mine.high = theirs.high.or(mine.high);
        mine.medium = theirs.medium.or(mine.medium);
        mine.low = theirs.low.or(mine.low);
    }

    /// The URL of the instance without a trailing slash.
    fn origin(&self) -> Option<String> {
        let url = instance::origin_of(self.instance.as_deref()?).ok()?;
        Some(instance::text_of(&url))
    }

    fn addresses(&self) -> Vec<(&'static str, String)> {
        let text = given(self.instance.as_ref());
        text.map(|text| ("instance", instance::completed(text))).into_iter().collect()
    }

    fn route(&self) -> &RouteDraft {
        &self.route
    }
}

impl SettingsDraft {
    /// The URL for people, as parsed from `public_url`; empty if it is not set.
    #[must_use]
    pub fn public_url(&self) -> String {
        let typed = given(self.public_url.as_ref()).unwrap_or_default();
        instance::origin_of(typed).map_or_else(|_| typed.to_owned(), |url| instance::text_of(&url))
    }

    /// The effective table: the configured one, else `incident`.
    #[must_use]
    pub fn table(&self) -> &str {
        given(self.table.as_ref()).unwrap_or(DEFAULT_TABLE)
    }

    /// The effective priorities: a level that is absent, or out of range, has its default.
    #[must_use]
    pub fn priorities(&self) -> PriorityMatrix {
        let draft = &self.priorities;
        let default = PriorityMatrix::default();
        let or = |given: Option<ImpactUrgencyDraft>, default| {
            given.and_then(ImpactUrgencyDraft::parse).unwrap_or(default)
        };
        PriorityMatrix {
            critical: or(draft.critical, default.critical),
            high: or(draft.high, default.high),
            medium: or(draft.medium, default.medium),
            low: or(draft.low, default.low),
        }
    }

    /// Validates the given fields; missing ones are allowed. `path` is the field path of the settings in the
    /// contract, for example `servicenow`.
    pub fn check(&self, path: &str, violations: &mut Violations) {
        let at = |field: &str| format!("{path}.{field}");
        if let Some(text) = given(self.instance.as_ref()) {
            violations.limit_text(&at("instance"), text, limits::INSTANCE);
            if let Err(wrong) = instance::origin_of(text) {
                violations.add(at("instance"), wrong);
            }
        }
        if let Some(text) = given(self.username.as_ref()) {
            violations.limit_text(&at("username"), text, limits::USERNAME);
            violations.require(!text.contains(':'), &at("username"), "must not contain a colon");
            check_name(&at("username"), text, violations);
        }
        if let Some(Err(wrong)) = given(self.public_url.as_ref()).map(instance::origin_of) {
            violations.add(at("public_url"), wrong);
        }
        if let Some(text) = given(self.assignment_group.as_ref()) {
            check_group(&at("assignment_group"), text, violations);
        }
        if check_name(&at("table"), self.table(), violations) {
            violations.require(
                is_table(self.table()),
                &at("table"),
                "must be a lower-case letter, then lower-case letters, digits or _, at most 80 in all",
            );
        }
        self.priorities.check(&at("priorities"), violations);
    }
}

// === impl PrioritiesDraft ===

impl PrioritiesDraft {
    fn check(&self, path: &str, violations: &mut Violations) {
        let levels =
            [("critical", self.critical), ("high", self.high), ("medium", self.medium), ("low", self.low)];
        for (level, pair) in levels {
            let Some(pair) = pair else { continue };
            for (field, value) in [("impact", pair.impact), ("urgency", pair.urgency)] {
                let path = format!("{path}.{level}.{field}");
                violations.require(
                    LEVELS.contains(&value),
                    &path,
                    "must be 1 (high) to 3 (low), or up to 5 where the instance has more levels",
                );
            }
        }
    }
}

// === impl ImpactUrgencyDraft ===

impl ImpactUrgencyDraft {
    fn parse(self) -> Option<ImpactUrgency> {
        let level = |value: u32| u8::try_from(value).ok().filter(|_| LEVELS.contains(&value));
        Some(ImpactUrgency::new(level(self.impact)?, level(self.urgency)?))
    }
}

impl From<ImpactUrgency> for ImpactUrgencyDraft {
    fn from(pair: ImpactUrgency) -> Self {
        Self { impact: pair.impact.into(), urgency: pair.urgency.into() }
    }
}

// === impl Settings ===

impl Settings {
    /// Validates a complete draft. Adds every violation; `path` is the field path of the settings in the
    /// contract, for example `servicenow`.
    pub fn parse(
        draft: &SettingsDraft,
        password: Option<&SecretString>,
        path: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let mut found = Violations::default();
        draft.check(path, &mut found);
        let at = |field: &str| format!("{path}.{field}");
        let instance = given(draft.instance.as_ref());
        let username = given(draft.username.as_ref());
        found.require(
            instance.is_some(),
            &at("instance"),
            "is required: the instance's name, host or address",
        );
        found.require(
            username.is_some(),
            &at("username"),
            "is required: the account that creates the tickets",
        );
        let password = password.filter(|password| !password.expose_secret().is_empty());
        found.require(password.is_some(), &at("password"), "is required: the password of username");
        let read = password.map(|password| pasted::password(password.expose_secret()));
        match &read {
            Some(Ok(password)) => found.limit_text(&at("password"), password, limits::PASSWORD),
            Some(Err(wrong)) => found.add(at("password"), wrong.clone()),
            None => {}
        }
        let sound = found.is_empty();
        violations.extend(found);
        if !sound {
            return None;
        }
        Some(Self {
            public: instance::origin_of(given(draft.public_url.as_ref()).or(instance)?).ok()?,
            instance: instance::origin_of(instance?).ok()?,
            username: username?.to_owned(),
            password: read?.ok()?.into(),
            assignment_group: given(draft.assignment_group.as_ref()).map(AssignmentGroup::of),
            table: draft.table().to_owned(),
            priorities: draft.priorities(),
        })
    }

    /// The address of the instance without a trailing slash: what the password is bound to.
    #[must_use]
    pub fn origin(&self) -> String {
        instance::text_of(&self.instance)
    }

    /// The URL of the instance for people, without a trailing slash.
    pub(crate) fn public_origin(&self) -> String {
        instance::text_of(&self.public)
    }

    /// A possible cause if the login is refused, as part of a sentence.
    pub(crate) fn oddity(&self) -> Option<String> {
        let of_user = self.username.chars().find(|c| !c.is_ascii());
        let of_user = of_user.map(|c| format!("servicenow.username contains {}", pasted::describe(c)));
        let of_password = || {
            let oddity = pasted::oddity(self.password.expose_secret());
            oddity.map(|oddity| format!("the password that was given {oddity}"))
        };
        of_user.or_else(of_password)
    }
}

// === impl AssignmentGroup ===

impl AssignmentGroup {
    fn of(text: &str) -> Self {
        let sys_id = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if sys_id { Self::SysId(text.to_ascii_lowercase()) } else { Self::Name(text.to_owned()) }
    }

    /// As entered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Name(text) | Self::SysId(text) => text,
        }
    }
}

/// Validates the name of a table: it must not change the path of a request.
pub(crate) fn is_table(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=limits::TABLE).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(allowed)
}

fn merge_text(mine: &mut Option<String>, theirs: Option<String>) {
    if let Some(text) = theirs {
        let text = pasted::trim(&text);
        *mine = (!text.is_empty()).then(|| text.to_owned());
    }
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| pasted::trim(text)).filter(|text| !text.is_empty())
}

/// Rejects invisible characters in a text that is compared with the instance's.
fn check_name(path: &str, text: &str, violations: &mut Violations) -> bool {
    let wrong = pasted::name(text).err();
    let is_clean = wrong.is_none();
    wrong.into_iter().for_each(|wrong| violations.add(path, wrong));
    is_clean
}

/// The name becomes part of an encoded query: `^` ends a term in it, and `javascript:` starts a script.
fn check_group(path: &str, text: &str, violations: &mut Violations) {
    violations.limit_text(path, text, limits::ASSIGNMENT_GROUP);
    let plain = !text.contains('^');
    violations.require(plain, path, "must not contain ^; the group's sys_id can be given instead");
    check_name(path, text, violations);
    let script = text.to_ascii_lowercase().starts_with("javascript:");
    violations.require(!script, path, "must not begin with javascript:");
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
