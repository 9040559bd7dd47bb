//! Entries of the audit.

use rhythmx_ticketing::v1;

use super::field;
use crate::store::AuditEntry;

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
        detail: entry.detail,
        outcome: entry.outcome,
    }
}
