//! Edits of the database, as an attacker without the key could make them.

use std::path::Path;

use sqlx::Connection;
use ticketing_core::evidence::SearchScope;

use super::open;

/// What an attacker without the key does to the row of Jira, or to the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// Jira's secret is replaced by that of ServiceNow.
    Swap,
    Truncate,
    Flip,
    /// The row is copied as it is, to be restored later.
    Keep,
    Restore,
    /// Only the secret is restored, with its key and nonce.
    RestoreSecret,
    /// The settings get another address.
    Redirect,
    /// ServiceNow, which has a secret, is disabled.
    SwitchOff,
    /// Auto-push covers more incidents.
    WidenAutoPush,
    /// The secret gets another kind.
    Kind,
    /// The row digests are removed.
    EmptyList,
    /// The last entry of the audit is removed.
    CutAudit,
    /// The whole audit is removed.
    RemoveAudit,
    /// The audit can no longer be written.
    CloseAudit,
    /// Every viewer becomes an admin.
    Promote,
    /// Tokens get another namespace.
    ChangeNamespaces,
    /// Revoked tokens become valid again.
    TakeBackRevocations,
    /// Tokens never expire.
    Prolong,
    /// No token can be read.
    HideTokens,
    /// Deliveries and events contain texts of megabytes, as older versions stored them.
    Poison,
}

/// Edits the database in the folder `data`, with or without a running server.
pub(crate) async fn edit(data: &Path, edit: Edit) -> Result<(), sqlx::Error> {
    let mut db = open(data).await?;
    sqlx::raw_sql(edit.statements()).execute(&mut db).await?;
    db.close().await
}

/// Makes a search known to show tickets of ours, as if one had been read back before, in the database in the folder
/// `data`, whether or not a server works with it.
pub(crate) async fn add_evidence(data: &Path, scope: &SearchScope) -> Result<(), sqlx::Error> {
    let SearchScope { destination, made_by, reader } = scope;
    let mut db = open(data).await?;
    let query = sqlx::query("INSERT OR REPLACE INTO search_evidence VALUES (?, ?, ?, ?, ?, '', 1, 0)");
    let query = query.bind(&destination.base_url).bind(&destination.place).bind(&made_by.account);
    query.bind(&made_by.issue_type).bind(reader).execute(&mut db).await?;
    db.close().await
}

// === impl Edit ===

impl Edit {
    fn statements(self) -> &'static str {
        match self {
            Self::ChangeNamespaces => "UPDATE tokens SET namespace = 'other' WHERE name = 'viewer'",
            Self::Promote => "UPDATE tokens SET role = 'admin' WHERE role = 'viewer'",
            Self::TakeBackRevocations => "UPDATE tokens SET revoked_at = NULL WHERE revoked_at IS NOT NULL",
            Self::Prolong => "UPDATE tokens SET expires_at = 4000000000000000 WHERE name = 'viewer'",
            Self::HideTokens => "ALTER TABLE tokens RENAME TO hidden_tokens",
            Self::Poison => {
                "UPDATE deliveries SET
                    ticket = json_set(ticket, '$.key', 'SEC-' || hex(zeroblob(1000000)), '$.url', hex(zeroblob(2000))),
                    adjustments = (
                        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
                        SELECT json_group_array(json_object('field', 'labels', 'reason', hex(zeroblob(20000)))) FROM n);
                UPDATE events SET body =
                    json_set(body, '$.delivery.ticket.key', 'SEC-' || hex(zeroblob(1000000)))
                WHERE body ->> '$.delivery.ticket.key' IS NOT NULL"
            }
            Self::Swap => {
                "UPDATE target_settings
                SET secret = (SELECT secret FROM target_settings WHERE target = 'servicenow') WHERE target = 'jira'"
            }
            Self::Truncate => {
                "UPDATE target_settings SET secret = substr(secret, 1, length(secret) - 1) WHERE target = 'jira'"
            }
            Self::Flip => {
                "UPDATE target_settings
                SET secret = CAST(substr(secret, 1, 30) || unhex(CASE hex(substr(secret, 31, 1)) WHEN '00' THEN '01' ELSE '00' END)
                    || substr(secret, 32) AS BLOB)
                WHERE target = 'jira'"
            }
            Self::Keep => "CREATE TABLE kept AS SELECT * FROM target_settings WHERE target = 'jira'",
            Self::Restore => {
                "DELETE FROM target_settings WHERE target = 'jira';
                INSERT INTO target_settings SELECT * FROM kept; DROP TABLE kept"
            }
            Self::RestoreSecret => {
                "UPDATE target_settings SET (secret, secret_kind, secret_origin, secret_set_at, secret_key) =
                    (SELECT secret, secret_kind, secret_origin, secret_set_at, secret_key FROM kept)
                WHERE target = 'jira'; DROP TABLE kept"
            }
            Self::Redirect => {
                "UPDATE target_settings SET draft = json_set(draft, '$.url', 'http://127.0.0.1:9') WHERE target = 'jira'"
            }
            Self::Kind => {
                "UPDATE target_settings SET secret_kind = 'personal_access_token' WHERE target = 'jira'"
            }
            Self::SwitchOff => "UPDATE target_settings SET enabled = 0 WHERE target = 'servicenow'",
            Self::WidenAutoPush => "UPDATE policy SET auto_push = json_set(auto_push, '$.edited', 1)",
            Self::EmptyList => "UPDATE audit_head SET sealed = '{}'",
            Self::CutAudit => {
                "DROP TRIGGER audit_is_never_cut; DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
            }
            Self::CloseAudit => {
                "CREATE TRIGGER audit_is_closed BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'closed'); END"
            }
            Self::RemoveAudit => "DROP TRIGGER audit_is_never_cut; DELETE FROM audit; DELETE FROM audit_head",
        }
    }
}
