//! Finds people by email: Cloud identifies them by account ID, Data Center by name.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::fault::Fault;

use crate::client::{Api, Client};
use crate::wire::FoundUser;

/// How long a person is remembered.
const MAX_AGE: Duration = Duration::from_secs(3_600);
/// Maximum number of remembered people.
const MAX_KNOWN: usize = 1_000;

/// The people that were found a short time ago, by email.
#[derive(Debug, Default)]
pub(crate) struct Users(Mutex<HashMap<String, (Timestamp, String)>>);

// === impl Users ===

impl Users {
    /// The account ID, or the name, of the person with this email, if it was found a short time ago.
    pub(crate) fn known(&self, email: &str, now: Timestamp) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, id) = known.get(&email.to_lowercase())?;
        (now.duration_since(*at).unsigned_abs() < MAX_AGE).then(|| id.clone())
    }

    /// Asks Jira for the person with this email, and remembers who was found; `None` if no person was.
    pub(crate) async fn find(
        &self,
        client: &Client,
        api: Api,
        project: &str,
        email: &str,
    ) -> Result<Option<String>, Fault> {
        let found = match search(client, api, &["user", "search"], &[], email).await {
            Ok(Some(id)) => Some(id),
            // Without the permission to browse users, the search is empty; people who can be assigned are shown.
            Ok(None) | Err(_) => {
                let place = [("project", project)];
                search(client, api, &["user", "assignable", "search"], &place, email).await?
            }
        };
        if let Some(id) = &found {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(email.to_lowercase(), (client.now(), id.clone()));
        }
        Ok(found)
    }
}

async fn search(
    client: &Client,
    api: Api,
    path: &[&str],
    place: &[(&str, &str)],
    email: &str,
) -> Result<Option<String>, Fault> {
    let wanted = if api == Api::V3 { "query" } else { "username" };
    let query = [place, &[(wanted, email), ("maxResults", "10")]].concat();
    let budget = client.optional_budget();
    let found = client.read_within::<Vec<FoundUser>>(api, path, &query, budget).await?.value;
    Ok(choose(&found, email))
}

/// The person with exactly this email; else the only one found, if the email is hidden.
fn choose(found: &[FoundUser], email: &str) -> Option<String> {
    let id = |user: &FoundUser| user.account_id.clone().or_else(|| user.name.clone());
    let active: Vec<&FoundUser> = found.iter().filter(|user| user.active != Some(false)).collect();
    let has_email = |user: &&&FoundUser| {
        user.email_address.as_deref().is_some_and(|shown| shown.eq_ignore_ascii_case(email))
    };
    if let Some(user) = active.iter().find(has_email) {
        return id(user);
    }
    match active.as_slice() {
        [only] if only.email_address.as_deref().is_none_or(str::is_empty) => id(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str, email: Option<&str>) -> FoundUser {
        let email_address = email.map(str::to_owned);
        FoundUser { account_id: Some(id.to_owned()), email_address, ..FoundUser::default() }
    }

    #[test]
    fn takes_exact_email_or_the_only_hidden_one() {
        let wanted = "a@b.example";
        let both = [user("1", Some("aa@b.example")), user("2", Some("A@b.example"))];
        assert_eq!(choose(&both, wanted).as_deref(), Some("2"));
        assert_eq!(choose(&[user("3", None)], wanted).as_deref(), Some("3"));
        assert_eq!(choose(&[user("4", Some("other@b.example"))], wanted), None);
        assert_eq!(choose(&[user("5", None), user("6", None)], wanted), None);
        let gone = FoundUser { active: Some(false), ..user("7", Some(wanted)) };
        assert_eq!(choose(&[gone], wanted), None);
    }
}
