//! The audit table: appended to in the transaction of the audited change.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use ticketing_host::entropy::Entropy;
use ticketing_secrets::audit::{Actor, AuditBroken, AuditEntry, AuditKey, NewAuditEntry, Verifier};
use ticketing_secrets::encryption::{Cipher, CiphertextContext};
use ticketing_secrets::row_digests::RowDigests;
use zeroize::Zeroizing;

use super::exclusive_write::ExclusiveWrite;
use super::keys::{KeyId, Keyring};
use super::row_digests;
use super::rows::Reader;
use super::{Database, State};
use crate::StoreError;
use crate::port;

/// The previous hash of an entry that is written after a broken chain: no entry has this hash, so the break stays visible.
const BROKEN: [u8; 32] = [0xFF; 32];

const KEY_PLACE: CiphertextContext<'_> =
    CiphertextContext { table: "audit_head", row: "1", column: "key", origin: "" };

/// Number of entries per read.
const PAGE: u32 = 1_000;

/// Appends a single entry, for example of a refusal.
#[derive(Debug)]
struct AppendAudit(NewAuditEntry);

#[async_trait]
impl ExclusiveWrite for AppendAudit {
    type Answer = ();

    async fn run(&self, state: &State, db: &mut SqliteConnection) -> Result<(), StoreError> {
        append(db, &state.audit_key, vec![self.0.clone()]).await
    }
}

#[async_trait]
impl port::Audit for Database {
    async fn append_audit(&self, entry: NewAuditEntry) -> Result<(), StoreError> {
        self.write_exclusive(AppendAudit(entry)).await
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let _permit = self.lists.acquire().await.map_err(|_closed| StoreError::Closed)?;
        let before = before.map_or(i64::MAX, u64::cast_signed);
        let query = sqlx::query("SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?");
        let rows = query.bind(before).bind(limit).fetch_all(&self.readers).await;
        rows.map_err(StoreError::read("the audit"))?.iter().map(entry).collect()
    }

    async fn audit_after(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let query = sqlx::query("SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?");
        let rows = query.bind(after.cast_signed()).bind(limit).fetch_all(&self.readers).await;
        rows.map_err(StoreError::read("the audit"))?.iter().map(entry).collect()
    }
}

/// The head of the audit, with the row digests.
#[derive(Debug)]
pub(super) struct Head {
    count: u64,
    last: [u8; 32],
    /// Empty if their MAC is wrong.
    pub(super) row_digests: RowDigests,
}

// === impl Head ===

impl Head {
    /// The head of an audit without entries.
    fn first(row_digests: RowDigests) -> Self {
        Self { count: 0, last: [0; 32], row_digests }
    }

    /// Reads it. A head that does not match the last entry means that the head was edited or entries were removed: then it is
    /// not trusted, and the next entry records the break permanently.
    pub(super) async fn load(db: &mut SqliteConnection, key: &AuditKey) -> Result<Self, StoreError> {
        let last = sqlx::query("SELECT seq, mac FROM audit WHERE seq = (SELECT max(seq) FROM audit)");
        let last = last.fetch_optional(&mut *db).await.map_err(StoreError::read("the audit"))?;
        let (count, last) = match last {
            Some(row) => {
                let seq: i64 = row.try_get("seq").map_err(StoreError::read("the audit"))?;
                (seq.cast_unsigned(), mac_of(&Reader::named(&row, "audit", seq.to_string()))?)
            }
            None => (0, [0; 32]),
        };
        let row = sqlx::query("SELECT '1' AS id, count, mac, sealed FROM audit_head").fetch_one(db).await;
        let row = row.map_err(StoreError::read("the head of the audit"))?;
        let row = Reader::new(&row, "audit_head", "id")?;
        let stored_count: i64 = row.get("count")?;
        let sealed: String = row.get("sealed")?;
        let is_sound =
            stored_count.cast_unsigned() == count && key.is_head(&mac_of(&row)?, count, &last, &sealed);
        if !is_sound {
            tracing::error!("the audit was edited: run `ticketing audit verify` to locate the edit");
            return Ok(Self {
                count: count.max(stored_count.cast_unsigned()),
                last: BROKEN,
                row_digests: RowDigests::default(),
            });
        }
        let row_digests = if sealed.is_empty() { RowDigests::default() } else { row.json("sealed")? };
        Ok(Self { count, last, row_digests })
    }

    /// Appends entries.
    pub(super) async fn append(
        &mut self,
        db: &mut SqliteConnection,
        key: &AuditKey,
        entries: Vec<NewAuditEntry>,
    ) -> Result<(), StoreError> {
        for new in entries {
            let entry = new.follow(self.count + 1, &self.last, key);
            (self.count, self.last) = (entry.seq, entry.mac);
            let query = sqlx::query("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
            let query = query.bind(entry.seq.cast_signed()).bind(entry.at.as_microsecond());
            let Actor { name, role, credential, source } = entry.actor;
            let query = query.bind(name).bind(role).bind(credential).bind(source);
            let query = query.bind(entry.action).bind(entry.subject).bind(entry.detail).bind(entry.outcome);
            let done = query.bind(&self.last[..]).execute(&mut *db).await;
            done.map_err(StoreError::write("the audit"))?;
        }
        Ok(())
    }

    pub(super) async fn save(self, db: &mut SqliteConnection, key: &AuditKey) -> Result<(), StoreError> {
        let sealed = super::rows::json("the seals", &self.row_digests)?;
        let mac = key.of_head(self.count, &self.last, &sealed);
        let query = sqlx::query("UPDATE audit_head SET count = ?, sealed = ?, mac = ?");
        let done = query.bind(self.count.cast_signed()).bind(sealed).bind(&mac[..]).execute(db).await;
        done.map(drop).map_err(StoreError::write("the head of the audit"))
    }
}

/// Appends entries.
pub(super) async fn append(
    db: &mut SqliteConnection,
    key: &AuditKey,
    entries: Vec<NewAuditEntry>,
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut head = Head::load(db, key).await?;
    head.append(db, key, entries).await?;
    head.save(db, key).await
}

/// Verifies the whole audit. Returns the number of entries, if none was edited, removed or inserted.
pub(super) async fn verify(
    db: &mut SqliteConnection,
    key: &AuditKey,
) -> Result<Result<u64, AuditBroken>, StoreError> {
    let mut verifier = Verifier::new(key);
    let mut after = 0;
    loop {
        let query =
            sqlx::query("SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?").bind(after).bind(PAGE);
        let rows = query.fetch_all(&mut *db).await.map_err(StoreError::read("the audit"))?;
        for row in &rows {
            let entry = entry(row)?;
            after = entry.seq.cast_signed();
            if let Err(broken) = verifier.entry(&entry) {
                return Ok(Err(broken));
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    let head = sqlx::query("SELECT '1' AS id, count, mac, sealed FROM audit_head").fetch_one(&mut *db).await;
    let head = head.map_err(StoreError::read("the head of the audit"))?;
    let head = Reader::new(&head, "audit_head", "id")?;
    let count: i64 = head.get("count")?;
    let sealed: String = head.get("sealed")?;
    let verified = verifier.end(count.cast_unsigned(), &sealed, &mac_of(&head)?);
    let row_digests = Head::load(db, key).await?.row_digests;
    match row_digests::edited_row(&row_digests, db).await? {
        Some(place) if verified.is_ok() => Ok(Err(AuditBroken::of_row(&place))),
        _ => Ok(verified),
    }
}

/// The key of the audit; `None` if there is no head.
pub(super) async fn key(db: &mut SqliteConnection, keys: &Keyring) -> Result<Option<AuditKey>, StoreError> {
    let row = sqlx::query("SELECT '1' AS id, key, key_id FROM audit_head").fetch_optional(&mut *db).await;
    let Some(row) = row.map_err(StoreError::read("the head of the audit"))? else { return Ok(None) };
    let row = Reader::new(&row, "audit_head", "id")?;
    let sealed: Vec<u8> = row.get("key")?;
    let id: KeyId = row.get("key_id")?;
    let key = keys.get(db, id).await?.and_then(|cipher| cipher.decrypt(&sealed, KEY_PLACE).ok());
    let key = key.and_then(|key| <[u8; 32]>::try_from(&key[..]).ok()).map(Zeroizing::new);
    let key = key.ok_or_else(|| row.bad("key", &"it was not encrypted for this row with this key"))?;
    Ok(Some(AuditKey::new(key)))
}

/// Creates the head of an audit without entries.
pub(super) async fn begin(
    db: &mut SqliteConnection,
    (id, cipher): (KeyId, &Cipher),
    entropy: &dyn Entropy,
) -> Result<AuditKey, StoreError> {
    let key = AuditKey::random(entropy);
    let query = sqlx::query("INSERT INTO audit_head (id, key, key_id, count, mac) VALUES (1, ?, ?, 0, x'')");
    let done = query.bind(cipher.encrypt(key.bytes(), KEY_PLACE, entropy)).bind(id).execute(&mut *db).await;
    done.map_err(StoreError::write("the head of the audit"))?;
    Head::first(RowDigests::default()).save(db, &key).await?;
    Ok(key)
}

/// Trusts the rows as they are, once: older versions did not record their digests.
pub(super) async fn adopt(db: &mut SqliteConnection, key: &AuditKey) -> Result<(), StoreError> {
    let mut head = Head::load(db, key).await?;
    if head.last != BROKEN {
        head.row_digests = row_digests::of_rows(db).await?;
    }
    head.save(db, key).await
}

/// Trusts the plain settings as they are, once: older versions did not record their digests.
pub(super) async fn adopt_settings(db: &mut SqliteConnection, key: &AuditKey) -> Result<(), StoreError> {
    let is_done = |head: &Head| head.last == BROKEN || head.row_digests.lists_settings();
    // A start with nothing to adopt writes nothing: another process may have locked the database.
    if is_done(&Head::load(&mut *db, key).await?) {
        return Ok(());
    }
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
    let mut head = Head::load(&mut transaction, key).await?;
    if is_done(&head) {
        return Ok(());
    }
    row_digests::list_settings(&mut head.row_digests, &mut transaction).await?;
    head.save(&mut transaction, key).await?;
    transaction.commit().await.map_err(StoreError::commit)
}

/// Re-encrypts the key of the audit.
pub(super) async fn reencrypt(
    db: &mut SqliteConnection,
    key: &AuditKey,
    (id, cipher): (KeyId, &Cipher),
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    let query = sqlx::query("UPDATE audit_head SET key = ?, key_id = ?");
    let done = query.bind(cipher.encrypt(key.bytes(), KEY_PLACE, entropy)).bind(id).execute(db).await;
    done.map(drop).map_err(StoreError::write("the head of the audit"))
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, StoreError> {
    let seq: i64 = row.try_get("seq").map_err(StoreError::read("the audit"))?;
    let row = Reader::named(row, "audit", seq.to_string());
    let actor = Actor {
        name: row.get("actor")?,
        role: row.get("role")?,
        credential: row.get("credential")?,
        source: row.get("source")?,
    };
    Ok(AuditEntry {
        seq: seq.cast_unsigned(),
        at: row.time("at")?,
        actor,
        action: row.get("action")?,
        subject: row.get("subject")?,
        detail: row.get("detail")?,
        outcome: row.get("outcome")?,
        mac: mac_of(&row)?,
    })
}

fn mac_of(row: &Reader<'_>) -> Result<[u8; 32], StoreError> {
    let bytes: Vec<u8> = row.get("mac")?;
    <[u8; 32]>::try_from(bytes).map_err(|_| row.bad("mac", &"it is not 32 bytes long"))
}
