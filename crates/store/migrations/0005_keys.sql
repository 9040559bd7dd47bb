-- Keys that can be rotated, and what was sealed last.

-- The keys of all secrets. The newest seals; an older one only unseals, until nothing is left that it sealed.
CREATE TABLE data_keys (
    id          INTEGER PRIMARY KEY,  -- 1 is the first; none is ever used again
    sealed      BLOB NOT NULL,        -- the key, sealed with the master key: nonce and ciphertext
    made_at     INTEGER NOT NULL,     -- when it was made
    retired_at  INTEGER               -- when another took its place
) STRICT;

INSERT INTO data_keys (id, sealed, made_at) SELECT 1, data_key, created_at FROM installation;

ALTER TABLE installation DROP COLUMN data_key;
ALTER TABLE installation ADD COLUMN key_rotated_at INTEGER;  -- when the master key was replaced last

ALTER TABLE target_settings ADD COLUMN secret_key INTEGER NOT NULL DEFAULT 1;      -- which data key has sealed the secret
ALTER TABLE retired_connections ADD COLUMN secret_key INTEGER NOT NULL DEFAULT 1;  -- which data key has sealed the secret
ALTER TABLE audit_head ADD COLUMN key_id INTEGER NOT NULL DEFAULT 1;               -- which data key has sealed the key

-- A hash of each row that has a secret, by table and row, as JSON; covered by the mac. An older row that is put back has another.
ALTER TABLE audit_head ADD COLUMN sealed TEXT NOT NULL DEFAULT '';
