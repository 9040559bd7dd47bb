//! The audit: appended to in the transaction of what it tells of.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use zeroize::Zeroizing;

use super::rows::Reader;
use super::{Database, State, writer};
use crate::entropy::Entropy;
use crate::store::StoreError;
use crate::store::audit::{Actor, AuditBroken, AuditEntry, AuditKey, NewAuditEntry, Verifier};
use crate::store::seal::{Place, Sealer};

const KEY_PLACE: Place<'_> = Place { table: "audit_head", row: "1", column: "key", origin: "" };

/// How many entries are read at a time.
const PAGE: u32 = 1_000;

/// Writes down something by itself: what was refused, for instance.
#[derive(Debug)]
pub(in crate::store) struct WriteDown(pub(in crate::store) NewAuditEntry);

#[async_trait]
impl writer::Task for WriteDown {
    type Answer = ();

    async fn run(&self, state: &State, db: &mut SqliteConnection) -> Result<(), StoreError> {
        append(db, &state.audit_key, vec![self.0.clone()]).await
    }
}

impl Database {
    /// At most `limit` entries before `before`, the newest first.
    pub(in crate::store) async fn audit(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before.map_or(i64::MAX, u64::cast_signed);
        let query = sqlx::query("SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?");
        let rows = query.bind(before).bind(limit).fetch_all(&self.readers).await;
        rows.map_err(StoreError::read("the audit"))?.iter().map(entry).collect()
    }
}

/// Adds entries after the last one.
pub(super) async fn append(
    db: &mut SqliteConnection,
    key: &AuditKey,
    entries: Vec<NewAuditEntry>,
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let failed = || StoreError::write("the audit");
    let last =
        sqlx::query("SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1").fetch_optional(&mut *db).await;
    let (mut count, mut mac) = match last.map_err(StoreError::read("the audit"))? {
        Some(row) => {
            let row =
                Reader::named(&row, "audit", row.try_get::<i64, _>("seq").unwrap_or_default().to_string());
            (row.get::<i64>("seq")?.cast_unsigned(), mac_of(&row)?)
        }
        None => (0, [0; 32]),
    };
    for new in entries {
        count += 1;
        let entry = new.follow(count, &mac, key);
        mac = entry.mac;
        let query = sqlx::query("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        let query = query.bind(entry.seq.cast_signed()).bind(entry.at.as_microsecond());
        let Actor { name, role, credential, source } = entry.actor;
        let query = query.bind(name).bind(role).bind(credential).bind(source);
        let query = query.bind(entry.action).bind(entry.subject).bind(entry.detail).bind(entry.outcome);
        query.bind(&mac[..]).execute(&mut *db).await.map_err(failed())?;
    }
    let head = sqlx::query("UPDATE audit_head SET count = ?, mac = ?").bind(count.cast_signed());
    head.bind(&key.of_head(count, &mac)[..]).execute(db).await.map_err(failed())?;
    Ok(())
}

/// Goes through the whole audit: how many entries there are, if none was edited, removed or put in.
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
    let head = sqlx::query("SELECT '1' AS id, count, mac FROM audit_head").fetch_one(db).await;
    let head = head.map_err(StoreError::read("the head of the audit"))?;
    let head = Reader::new(&head, "audit_head", "id")?;
    Ok(verifier.end(head.get::<i64>("count")?.cast_unsigned(), &mac_of(&head)?))
}

/// The key of the audit; made, with the head, where there is none yet.
pub(super) async fn key(
    db: &mut SqliteConnection,
    sealer: &Sealer,
    entropy: &dyn Entropy,
) -> Result<AuditKey, StoreError> {
    let row = sqlx::query("SELECT '1' AS id, key FROM audit_head").fetch_optional(&mut *db).await;
    if let Some(row) = row.map_err(StoreError::read("the head of the audit"))? {
        let row = Reader::new(&row, "audit_head", "id")?;
        let sealed: Vec<u8> = row.get("key")?;
        let key = sealer.unseal(&sealed, KEY_PLACE).ok();
        let key = key.and_then(|key| <[u8; 32]>::try_from(&key[..]).ok());
        let key = key.ok_or_else(|| row.bad("key", &"it was not sealed here with this key"))?;
        return Ok(AuditKey::new(Zeroizing::new(key)));
    }
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut key[..]);
    let sealed = sealer.seal(&key[..], KEY_PLACE, entropy);
    let key = AuditKey::new(key);
    let query = sqlx::query("INSERT INTO audit_head (id, key, count, mac) VALUES (1, ?, 0, ?)").bind(sealed);
    let done = query.bind(&key.of_head(0, &[0; 32])[..]).execute(db).await;
    done.map_err(StoreError::write("the head of the audit"))?;
    Ok(key)
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
