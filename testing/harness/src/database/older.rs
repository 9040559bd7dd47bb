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
    sqlx::raw_sql(TAKE_BACK).execute(&mut db).await.unwrap();
    sqlx::query("UPDATE installation SET data_key = ?").bind(first).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    // The first servers wrote none.
    std::fs::remove_file(data.join("ticketing.db.mark")).unwrap();
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
