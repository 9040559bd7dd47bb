//! Search evidence: whether searches can find our tickets.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use ticketing_core::delivery::Delivery;
use ticketing_core::evidence::SearchScope;

use super::exclusive_write::ExclusiveWrite;
use super::rows::one_row;
use super::rows::{self, Reader};
use super::{Database, State};
use crate::StoreError;
use crate::port;
use crate::types::SearchEvidence;

const EVIDENCE: &str = "
    SELECT * FROM search_evidence
    WHERE base_url = ? AND place = ? AND account = ? AND issue_type = ? AND reader = ?";

/// The last ticket sent before a time, and the first one after it. A ticket that an operator named need not
/// have our marker, so it is no evidence. Older versions did not record the account: then any ticket sent at
/// that time is used.
const NEIGHBORS: &str = "
    WITH shown AS NOT MATERIALIZED (
        SELECT d.rowid AS row, d.* FROM deliveries AS d
        WHERE d.state = 'DELIVERED' AND d.send_at IS NOT NULL AND d.base_url = ?1 AND d.place = ?2
            AND (?3 = '' OR coalesce(d.send ->> '$.made_by.account', '') IN ('', ?3))
            AND (?4 = '' OR coalesce(d.send ->> '$.made_by.issue_type', '') IN ('', ?4))
            AND NOT EXISTS (SELECT 1 FROM operations AS o WHERE o.delivery_id = d.id AND o.kind = 'RESOLVE'))
    SELECT * FROM (SELECT * FROM shown WHERE send_at <= ?5 ORDER BY send_at DESC, row DESC LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT * FROM shown WHERE send_at > ?5 ORDER BY send_at, row LIMIT 1)";

const SAVE: &str = "
    INSERT INTO search_evidence (base_url, place, account, issue_type, reader, delivery_id, is_shown, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (base_url, place, account, issue_type, reader) DO UPDATE SET
        delivery_id = excluded.delivery_id, is_shown = excluded.is_shown, at = excluded.at";

/// Stores the last observation of the tickets of a scope.
#[derive(Debug)]
struct SaveEvidence {
    scope: SearchScope,
    evidence: SearchEvidence,
    now: Timestamp,
}

// === impl Database ===

#[async_trait]
impl port::Evidence for Database {
    async fn evidence(&self, scope: &SearchScope) -> Result<Option<SearchEvidence>, StoreError> {
        let SearchScope { destination, made_by, reader } = scope;
        let query = sqlx::query(EVIDENCE).bind(&destination.base_url).bind(&destination.place);
        let query = query.bind(&made_by.account).bind(&made_by.issue_type).bind(reader);
        let row = query.fetch_optional(&self.readers).await.map_err(StoreError::read("evidence"))?;
        let Some(row) = &row else { return Ok(None) };
        let row = Reader::named(row, "search_evidence", destination.base_url.clone());
        let is_shown: bool = row.get("is_shown")?;
        Ok(Some(SearchEvidence { delivery_id: row.get("delivery_id")?, is_shown }))
    }

    async fn save_evidence(
        &self,
        scope: SearchScope,
        evidence: SearchEvidence,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_exclusive(SaveEvidence { scope, evidence, now }).await
    }

    async fn neighbors(&self, scope: &SearchScope, sent_at: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        let SearchScope { destination, made_by, .. } = scope;
        let query = sqlx::query(NEIGHBORS).bind(&destination.base_url).bind(&destination.place);
        let query = query.bind(&made_by.account).bind(&made_by.issue_type).bind(sent_at.as_microsecond());
        let found = query.fetch_all(&self.readers).await.map_err(StoreError::read("deliveries"))?;
        found.iter().map(rows::delivery).collect()
    }
}

// === impl SaveEvidence ===

#[async_trait]
impl ExclusiveWrite for SaveEvidence {
    type Answer = ();

    async fn run(&self, _: &State, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let SearchScope { destination, made_by, reader } = &self.scope;
        let query = sqlx::query(SAVE).bind(&destination.base_url).bind(&destination.place);
        let query = query.bind(&made_by.account).bind(&made_by.issue_type).bind(reader);
        let query = query.bind(&self.evidence.delivery_id).bind(self.evidence.is_shown);
        let done = query.bind(self.now.as_microsecond()).execute(db).await;
        one_row("search_evidence", &done.map_err(StoreError::write("evidence"))?)
    }
}
