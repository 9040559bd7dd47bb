//! Settings of a Jira connection, as stored and as validated.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use ticketing_core::clean::is_invisible;
use ticketing_core::pasted;
use ticketing_core::secret::{Secret, SecretKind};
use ticketing_core::violation::Violations;
use ticketing_egress::{Authorization, Redactor, RouteDraft};

use crate::site::{Site, completed};

/// The default issue type.
const DEFAULT_ISSUE_TYPE: &str = "Task";
const ATLASSIAN_GATEWAY: &str = "https://api.atlassian.com";
const MAX_PROJECT_KEY: usize = 255;
const MAX_LABEL: usize = 255;
const MAX_LABELS: usize = 10;
const MAX_NAME: usize = 255;
const MAX_EMAIL: usize = 320;
const MAX_SECRET: usize = 4_096;

/// The stored settings: any field may be missing or invalid. The secret is stored separately.
#[derive(Default, Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct SettingsDraft {
    /// URL of the site, for example `https://your-site.atlassian.net`; on Data Center with its context path.
    pub url: Option<String>,
    /// Email of the account; on Data Center without a personal access token the user name.
    pub email: Option<String>,
    pub project_key: Option<String>,
    /// Name of the issue type. Default `Task`.
    pub issue_type: Option<String>,
    /// Default [`Flavour::Auto`].
    pub flavour: Option<Flavour>,
    /// The site's cloud ID, a UUID. Set for scoped tokens, which use the gateway.
    pub cloud_id: Option<String>,
    /// URL of the gateway. Default `https://api.atlassian.com`.
    pub gateway_url: Option<String>,
    /// Labels of every ticket, besides the marker: at most 10. Default none.
    pub labels: Option<Vec<String>>,
    /// URL of the site for people, if that is not `url`.
    pub public_url: Option<String>,
    #[serde(flatten)]
    pub route: RouteDraft,
}

/// The flavor of Jira.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// `*.atlassian.net` and the gateway are Cloud; other sites are detected.
    #[default]
    Auto,
    Cloud,
    DataCenter,
}

/// Valid settings, as far as can be checked without calling Jira.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) site: Site,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) login: Login,
    pub(crate) project_key: String,
    pub(crate) issue_type: String,
    pub(crate) flavour: Flavour,
    pub(crate) labels: Vec<String>,
    /// URL for people, if configured.
    pub(crate) public_site: Option<Site>,
    /// A possible cause if the login is refused.
    pub(crate) oddity: Option<String>,
}

/// The gateway for scoped tokens.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) site: Site,
    pub(crate) cloud_id: String,
}

/// The login.
#[derive(Clone)]
pub(crate) enum Login {
    Basic { user: String, token: SecretString },
    Bearer { token: SecretString },
}

// === impl SettingsDraft ===

impl ticketing_vendor::SettingsDraft for SettingsDraft {
    fn merge(&mut self, patch: Self) {
        let text = |field: &mut Option<String>, patch: Option<String>| {
            if let Some(value) = patch {
                *field = Some(pasted::trim(&value).to_owned()).filter(|value| !value.is_empty());
            }
        };
        text(&mut self.url, patch.url);
        text(&mut self.email, patch.email);
        text(&mut self.project_key, patch.project_key);
        text(&mut self.issue_type, patch.issue_type);
        text(&mut self.cloud_id, patch.cloud_id);
        text(&mut self.gateway_url, patch.gateway_url);
        text(&mut self.public_url, patch.public_url);
        self.route.merge(patch.route);
        self.flavour = patch.flavour.or(self.flavour);
        if let Some(labels) = patch.labels {
            self.labels = Some(labels).filter(|labels| !labels.is_empty());
        }
    }

    /// See [`Settings::origin`].
    fn origin(&self) -> Option<String> {
        let mut unused = Violations::default();
        given(self.url.as_deref())?;
        let site = site(self, "url", &mut unused)?;
        let gateway = gateway(self, "", &mut unused)?;
        Some(origin(&site, gateway.as_ref()))
    }

    fn addresses(&self) -> Vec<(&'static str, String)> {
        let gateway = self.cloud_id.as_ref().and(self.gateway_url.as_ref());
        let all = [("url", self.url.as_ref()), ("gateway_url", gateway)];
        all.into_iter()
            .filter_map(|(field, text)| Some((field, completed(given(text.map(String::as_str))?))))
            .collect()
    }

    fn route(&self) -> &RouteDraft {
        &self.route
    }
}

impl SettingsDraft {
    /// The site of `url`; as entered if it cannot be parsed.
    #[must_use]
    pub fn site_url(&self) -> String {
        shown(self.url.as_deref())
    }

    /// The site of `public_url`, for people; empty if it is not set.
    #[must_use]
    pub fn public_url(&self) -> String {
        shown(self.public_url.as_deref())
    }

    /// The effective issue type: the configured one, else `Task`.
    #[must_use]
    pub fn issue_type(&self) -> &str {
        given(self.issue_type.as_deref()).unwrap_or(DEFAULT_ISSUE_TYPE)
    }

    /// The effective gateway for a cloud ID: the configured one, else Atlassian's.
    #[must_use]
    pub fn gateway_url(&self) -> &str {
        given(self.gateway_url.as_deref()).unwrap_or(ATLASSIAN_GATEWAY)
    }
}

// === impl Settings ===

impl Settings {
    /// Parses a draft; `path` is its field path in the contract, for example `jira`. Adds every violation to
    /// `violations`, and returns `None` if there are any.
    pub fn parse(
        draft: &SettingsDraft,
        secret: Option<&Secret>,
        path: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let at = |field: &str| format!("{path}.{field}");
        let site = site(draft, &at("url"), violations);
        let gateway = gateway(draft, path, violations);
        let can_be_password = gateway.as_ref().is_some_and(Option::is_none)
            && site.as_ref().is_some_and(|site| !site.is_cloud())
            && draft.flavour != Some(Flavour::Cloud);
        let login = login(draft, secret, can_be_password, path, violations);
        let public_site =
            given(draft.public_url.as_deref()).map(|url| Site::parse(url, &at("public_url"), violations));
        let project_key = project_key(draft, &at("project_key"), violations);
        let issue_type = draft.issue_type().to_owned();
        violations.limit_text(&at("issue_type"), &issue_type, MAX_NAME);
        check_name(&issue_type, &at("issue_type"), violations);
        let labels = labels(draft, &at("labels"), violations);
        let flavour = draft.flavour.unwrap_or_default();
        if gateway.as_ref().is_some_and(Option::is_some) && flavour == Flavour::DataCenter {
            violations.add(at("flavour"), "must not be Data Center where cloud_id is set");
        }
        let site = site?;
        let gateway = gateway?;
        let login = login?;
        let oddity = login.oddity();
        let flavour = match flavour {
            Flavour::Auto if site.is_cloud() || gateway.is_some() => Flavour::Cloud,
            flavour => flavour,
        };
        let project_key = project_key?;
        violations.is_empty().then_some(Self {
            site,
            gateway,
            login,
            project_key,
            issue_type,
            flavour,
            labels,
            public_site: public_site.flatten(),
            oddity,
        })
    }

    /// What the secret is bound to: where it may be sent. Settings with another origin need it to be set
    /// again.
    #[must_use]
    pub fn origin(&self) -> String {
        origin(&self.site, self.gateway.as_ref())
    }
}

impl Settings {
    /// Whether the address alone identifies Jira Cloud.
    pub(crate) fn is_cloud(&self) -> bool {
        self.gateway.is_some() || self.site.is_cloud()
    }

    /// Base URL of requests: the gateway if there is one, else the site.
    pub(crate) fn base_url(&self) -> String {
        match &self.gateway {
            Some(gateway) => gateway.site.join(&["ex", "jira", &gateway.cloud_id]).to_string(),
            None => self.site.as_text().to_owned(),
        }
    }
}

// === impl Login ===

impl Login {
    pub(crate) fn authorization(&self) -> Authorization {
        match self {
            Self::Basic { user, token } => Authorization::basic(user, token),
            Self::Bearer { token } => Authorization::bearer(token),
        }
    }

    /// The token or password itself.
    pub(crate) fn secret(&self) -> &str {
        let (Self::Basic { token, .. } | Self::Bearer { token }) = self;
        token.expose_secret()
    }

    /// A possible cause if the login is refused, as part of a sentence.
    fn oddity(&self) -> Option<String> {
        let Self::Basic { user, token } = self else { return None };
        let of_user = user.chars().find(|c| !c.is_ascii());
        let of_user = of_user.map(|c| format!("jira.email contains {}", pasted::describe(c)));
        let of_token = || {
            pasted::oddity(token.expose_secret())
                .map(|oddity| format!("the password that was given {oddity}"))
        };
        of_user.or_else(of_token)
    }

    /// The account, if it uses a password or an API token.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::Basic { user, .. } => Some(user),
            Self::Bearer { .. } => None,
        }
    }

    /// Adds the secret, and the header built from it, to a redactor, in case a server echoes them.
    pub(crate) fn add_to(&self, redactor: Redactor) -> Redactor {
        let (Self::Basic { token, .. } | Self::Bearer { token }) = self;
        self.authorization().add_to(redactor).with(token.expose_secret())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
            Self::Bearer { .. } => f.debug_struct("Bearer").finish_non_exhaustive(),
        }
    }
}

/// A cloud ID selects the site behind the gateway, so it is part of where a secret is sent.
fn origin(site: &Site, gateway: Option<&Gateway>) -> String {
    match gateway {
        Some(gateway) => format!("{} {}/{}", site.origin(), gateway.site.origin(), gateway.cloud_id),
        None => site.origin(),
    }
}

/// Whether a text can be a project key. Nothing else ever reaches a query.
pub(crate) fn is_project_key(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_uppercase())
        && (2..=MAX_PROJECT_KEY).contains(&text.len())
        && bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(pasted::trim).filter(|text| !text.is_empty())
}

fn shown(typed: Option<&str>) -> String {
    let site = given(typed).and_then(|typed| Site::parse(typed, "", &mut Violations::default()));
    site.map_or_else(|| typed.unwrap_or_default().to_owned(), |site| site.as_text().to_owned())
}

/// Rejects invisible characters in a text that is compared with Jira's.
fn check_name(text: &str, field: &str, violations: &mut Violations) -> bool {
    let wrong = pasted::name(text).err();
    let is_clean = wrong.is_none();
    wrong.into_iter().for_each(|wrong| violations.add(field, wrong));
    is_clean
}

fn site(draft: &SettingsDraft, field: &str, violations: &mut Violations) -> Option<Site> {
    match given(draft.url.as_deref()) {
        Some(url) => {
            let site = Site::parse(url, field, violations)?;
            if site.origin() == ATLASSIAN_GATEWAY {
                let description = "is Atlassian's gateway: give the address of your site here, and the site's ID as cloud_id";
                violations.add(field, description);
                return None;
            }
            Some(site)
        }
        None => {
            violations.add(field, "is needed, for example https://your-site.atlassian.net");
            None
        }
    }
}

/// The gateway, if one is used; `None` if it cannot be parsed.
fn gateway(draft: &SettingsDraft, path: &str, violations: &mut Violations) -> Option<Option<Gateway>> {
    let url = given(draft.gateway_url.as_deref());
    let Some(cloud_id) = given(draft.cloud_id.as_deref()) else {
        violations.require(url.is_none(), &format!("{path}.cloud_id"), "is needed where gateway_url is set");
        return url.is_none().then_some(None);
    };
    let uuid = is_uuid(cloud_id);
    let description = "must be a UUID; https://your-site.atlassian.net/_edge/tenant_info shows it";
    violations.require(uuid, &format!("{path}.cloud_id"), description);
    let site = Site::parse(draft.gateway_url(), &format!("{path}.gateway_url"), violations)?;
    uuid.then(|| Some(Gateway { site, cloud_id: cloud_id.to_ascii_lowercase() }))
}

fn login(
    draft: &SettingsDraft,
    secret: Option<&Secret>,
    can_be_password: bool,
    path: &str,
    violations: &mut Violations,
) -> Option<Login> {
    let is_ours =
        |secret: &&Secret| matches!(secret.kind, SecretKind::ApiToken | SecretKind::PersonalAccessToken);
    let Some(Secret { kind, value, .. }) = secret.filter(is_ours) else {
        let description =
            "an API token (with the email), or on Data Center a personal access token, is needed";
        violations.add(format!("{path}.api_token"), description);
        return None;
    };
    let is_bearer = *kind == SecretKind::PersonalAccessToken;
    let field = format!("{path}.{kind}");
    let text = value.expose_secret();
    // A password of Data Center is configured as an API token, and may contain any character that can be
    // typed.
    let read = if can_be_password && !is_bearer {
        pasted::password(text).map(str::trim)
    } else {
        pasted::token(text)
    };
    let token = match read {
        Ok("") => Err("must not be empty".to_owned()),
        read => read,
    };
    let token = match token {
        Ok(token) => {
            violations.limit_text(&field, token, MAX_SECRET);
            Some(SecretString::from(token))
        }
        Err(wrong) => {
            violations.add(&field, wrong);
            None
        }
    };
    match (is_bearer, given(draft.email.as_deref())) {
        (true, _) => Some(Login::Bearer { token: token? }),
        (false, Some(user)) => {
            let user = account(user, &format!("{path}.email"), violations);
            Some(Login::Basic { user: user?, token: token? })
        }
        (false, None) => {
            violations.add(format!("{path}.email"), "is needed with an API token: the account that owns it");
            None
        }
    }
}

/// Validates the email or user name of an account: it must not break the header, nor contain look-alike
/// characters.
fn account(text: &str, field: &str, violations: &mut Violations) -> Option<String> {
    const MAIL: &str = "mailto:";
    let is_link = text.get(..MAIL.len()).is_some_and(|start| start.eq_ignore_ascii_case(MAIL));
    let text = if is_link { &text[MAIL.len()..] } else { text };
    violations.limit_text(field, text, MAX_EMAIL);
    let wrong = match pasted::find(text, |c| is_invisible(c) || c.is_whitespace()) {
        Some(wrong) => Some(format!("contains {wrong}: type it again")),
        None if text.is_empty() => Some("must not be empty".to_owned()),
        None if text.contains(':') => Some("must not contain a colon".to_owned()),
        None if text.contains(['<', '>', '"']) => {
            Some("must be the address alone, without a name, brackets or quotation marks".to_owned())
        }
        None => None,
    };
    match wrong {
        Some(wrong) => {
            violations.add(field, wrong);
            None
        }
        None => Some(text.to_owned()),
    }
}

fn project_key(draft: &SettingsDraft, field: &str, violations: &mut Violations) -> Option<String> {
    let key = given(draft.project_key.as_deref()).unwrap_or_default();
    let description =
        "must be the project's key, for example SEC: upper-case letters, digits and _, from 2 characters";
    if check_name(key, field, violations) {
        violations.require(is_project_key(key), field, description);
    }
    is_project_key(key).then(|| key.to_owned())
}

fn labels(draft: &SettingsDraft, field: &str, violations: &mut Violations) -> Vec<String> {
    let labels: Vec<String> =
        draft.labels.iter().flatten().map(|label| pasted::trim(label).to_owned()).collect();
    violations.limit_list(field, &labels, MAX_LABELS);
    for (index, label) in labels.iter().enumerate().take(MAX_LABELS) {
        let field = format!("{field}.values[{index}]");
        violations.require_text(&field, label, MAX_LABEL);
        let wrong = pasted::find(label, |c| c.is_whitespace() || is_invisible(c));
        if let Some(wrong) = wrong {
            violations.add(&field, format!("contains {wrong}: Jira refuses such labels"));
        }
    }
    labels
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
