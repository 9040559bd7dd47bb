//! Audit entries.

use serde_json::json;
use ticketing_contract::v1;
use ticketing_core::limits;
use ticketing_store::AuditEntry;

use super::field;

/// Maximum length of a detail in bytes.
const MAX_DETAIL: usize = 64 * 1024;
/// Shown beginning of a longer detail, in characters.
const MAX_BEGINNING: usize = 8 * 1024;

pub(crate) fn audit_entry(entry: AuditEntry) -> v1::AuditEntry {
    v1::AuditEntry {
        sequence: entry.seq,
        time: Some(field::timestamp(entry.at)),
        actor: entry.actor.name,
        role: entry.actor.role,
        credential: entry.actor.credential,
        source: entry.actor.source,
        action: entry.action,
        subject: entry.subject,
        detail: detail(entry.detail),
        outcome: entry.outcome,
    }
}

fn detail(detail: String) -> String {
    if detail.len() <= MAX_DETAIL {
        return detail;
    }
    json!({ "cut": limits::cut(&detail, MAX_BEGINNING) }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_a_long_detail_and_keeps_it_json() {
        assert_eq!(detail("{}".to_owned()), "{}");
        let long = detail(format!("{{\"note\":\"{}\"}}", "\u{1}\\\"é".repeat(100_000)));
        assert!(long.len() <= MAX_DETAIL, "{}", long.len());
        let read: serde_json::Value = serde_json::from_str(&long).unwrap();
        assert!(read["cut"].as_str().unwrap().starts_with("{\"note\":"));
    }
}
