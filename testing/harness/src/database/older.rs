//! Takes a database back to the first schema, as the first servers left theirs: for tests of the upgrade.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sqlx::{Connection, SqliteConnection};

use super::open;

/// Bytes of a nonce, which stands before its ciphertext.
const NONCE: usize = 24;

/// What the later migrations added; those who add another take it away here.
const TAKE_BACK: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE former_installation (
        id               INTEGER PRIMARY KEY,
        installation_id  TEXT NOT NULL,
        stream_id        TEXT NOT NULL,
        marker_key       BLOB NOT NULL,
        data_key         BLOB NOT NULL,
        created_at       INTEGER NOT NULL,
        CONSTRAINT installation_is_one CHECK (id = 1),
        CONSTRAINT marker_key_is_32_bytes CHECK (length(marker_key) = 32)
    ) STRICT;
    INSERT INTO former_installation SELECT id, installation_id, stream_id, marker_key, x'', created_at FROM installation;
    DROP TABLE installation;
    ALTER TABLE former_installation RENAME TO installation;
    DROP TABLE data_keys;
    DROP TABLE target_secrets;
    DROP TABLE search_evidence;
    ALTER TABLE target_settings DROP COLUMN secret_key;
    ALTER TABLE retired_connections DROP COLUMN secret_key;
    DROP INDEX deliveries_by_state;
    DROP INDEX deliveries_by_connection;
    DROP INDEX deliveries_by_system;
    DROP INDEX deliveries_by_ticket_key;
    DROP INDEX deliveries_by_fault_kind;
    DROP INDEX deliveries_by_ticket_id;
    DROP INDEX deliveries_by_marker;
    ALTER TABLE deliveries DROP COLUMN fault_kind;
    ALTER TABLE deliveries DROP COLUMN ticket_id;
    ALTER TABLE deliveries DROP COLUMN ticket_key;
    ALTER TABLE deliveries DROP COLUMN resolution;
    ALTER TABLE deliveries DROP COLUMN absences;
    ALTER TABLE deliveries DROP COLUMN content_removed_at;
    DROP TABLE removed_connections;
    ALTER TABLE policy DROP COLUMN revision;
    DROP TABLE removed_revisions;
    ALTER TABLE incident_revisions RENAME TO later_revisions;
    CREATE TABLE incident_revisions (
        incident_id  TEXT NOT NULL,
        revision     INTEGER NOT NULL,
        body         TEXT NOT NULL,
        created_at   INTEGER NOT NULL,
        PRIMARY KEY (incident_id, revision),
        CONSTRAINT revision_counts_from_1 CHECK (revision >= 1),
        CONSTRAINT body_is_json CHECK (json_valid(body))
    ) STRICT, WITHOUT ROWID;
    INSERT INTO incident_revisions SELECT * FROM later_revisions;
    DROP TABLE later_revisions;
    ALTER TABLE attempts RENAME TO later_attempts;
    CREATE TABLE attempts (
        delivery_id  TEXT NOT NULL REFERENCES deliveries (id),
        number       INTEGER NOT NULL,
        target       TEXT NOT NULL,
        kind         TEXT NOT NULL,
        epoch        INTEGER NOT NULL,
        started_at   INTEGER NOT NULL,
        finished_at  INTEGER NOT NULL,
        outcome      TEXT NOT NULL,
        fault        TEXT,
        PRIMARY KEY (delivery_id, number),
        CONSTRAINT number_counts_from_1 CHECK (number >= 1),
        CONSTRAINT kind_is_known CHECK (kind IN ('CREATE', 'LOOK_UP', 'SWEEP')),
        CONSTRAINT outcome_is_known CHECK (outcome IN
            ('CREATED', 'FOUND', 'FAILED', 'AMBIGUOUS', 'ABSENT', 'UNPROVEN')),
        CONSTRAINT failure_has_fault CHECK ((outcome IN ('FAILED', 'AMBIGUOUS')) = (fault IS NOT NULL))
    ) STRICT, WITHOUT ROWID;
    INSERT INTO attempts SELECT * FROM later_attempts;
    DROP TABLE later_attempts;
    CREATE INDEX attempts_that_succeeded ON attempts (target, finished_at)
        WHERE kind <> 'SWEEP' AND outcome IN ('CREATED', 'FOUND');
    CREATE INDEX attempts_that_failed ON attempts (target, finished_at) WHERE fault IS NOT NULL;
    DROP INDEX deliveries_to_look_up;
    DROP TABLE delivery_counts;
    DROP TABLE former_streams;
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema
    SET sql = replace(
        sql,
        'only_settled_is_swept CHECK (sweep IS NULL OR state IN (''DELIVERED'', ''FAILED'', ''CANCELLED''))',
        'only_delivered_is_swept CHECK (sweep IS NULL OR state = ''DELIVERED'')')
    WHERE type = 'table' AND name = 'deliveries';
    UPDATE sqlite_schema
    SET sql = replace(
        sql,
        'CONSTRAINT state_is_known',
        'CONSTRAINT snapshot_exists FOREIGN KEY (incident_id, incident_revision)
            REFERENCES incident_revisions (incident_id, revision),
        CONSTRAINT state_is_known')
    WHERE type = 'table' AND name = 'deliveries';
    PRAGMA writable_schema = RESET;
    ALTER TABLE deliveries DROP COLUMN requested_by;
    ALTER TABLE deliveries DROP COLUMN namespace;
    DROP TABLE tokens;
    DROP TABLE audit;
    DROP TABLE audit_head;
    DELETE FROM _sqlx_migrations WHERE version > 1;
    COMMIT;
";

/// Takes the database in the folder `data` back; no server may have it open. Its master key is in the file beside it. What
/// was accepted stays in it.
pub async fn make_older(data: &Path) {
    let master = std::fs::read_to_string(data.join("ticketing.db.key")).unwrap();
    let mut db = open(data).await.unwrap();
    let first = encrypted_as_first_version(&mut db, &STANDARD.decode(master.trim()).unwrap()).await;
    decompress_incidents(&mut db).await;
    sqlx::raw_sql(TAKE_BACK).execute(&mut db).await.unwrap();
    sqlx::query("UPDATE installation SET data_key = ?").bind(first).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    // The first servers wrote none.
    std::fs::remove_file(data.join("ticketing.db.mark")).unwrap();
}

/// The first servers stored text.
async fn decompress_incidents(db: &mut SqliteConnection) {
    let frames = "SELECT incident_id, revision, body FROM incident_revisions WHERE typeof(body) = 'blob'";
    let rows: Vec<(String, i64, Vec<u8>)> = sqlx::query_as(frames).fetch_all(&mut *db).await.unwrap();
    for (incident_id, revision, frame) in rows {
        let text = String::from_utf8(zstd::stream::decode_all(frame.as_slice()).unwrap()).unwrap();
        let update = "UPDATE incident_revisions SET body = ? WHERE incident_id = ? AND revision = ?";
        let update = sqlx::query(update).bind(text).bind(incident_id).bind(revision);
        update.execute(&mut *db).await.unwrap();
    }
}

/// The first data key as the first servers encrypted it: its associated data had no number while there was one key.
async fn encrypted_as_first_version(db: &mut SqliteConnection, master: &[u8]) -> Vec<u8> {
    let installation: String =
        sqlx::query_scalar("SELECT installation_id FROM installation").fetch_one(&mut *db).await.unwrap();
    let sealed: Vec<u8> =
        sqlx::query_scalar("SELECT sealed FROM data_keys WHERE id = 1").fetch_one(db).await.unwrap();
    let cipher = XChaCha20Poly1305::new_from_slice(master).unwrap();
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>().unwrap();
    let nonce = XNonce::from(*nonce);
    let with_number = associated_data(&installation, "1");
    let key = cipher.decrypt(&nonce, Payload { msg: ciphertext, aad: &with_number }).unwrap();
    let without_number = associated_data(&installation, "");
    let encrypted = cipher.encrypt(&nonce, Payload { msg: &key, aad: &without_number }).unwrap();
    [&nonce[..], &encrypted].concat()
}

/// Table, row, column and number of a data key, each with its length before it.
fn associated_data(installation: &str, number: &str) -> Vec<u8> {
    let parts = ["installation", installation, "data_key", number];
    let framed = parts.map(|part| [&(part.len() as u64).to_be_bytes()[..], part.as_bytes()].concat());
    framed.concat()
}
