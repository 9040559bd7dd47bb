-- Who may call, and who did what.

-- Bearer tokens. Of the secret part only a hash is kept; the text of a token is shown once, when it is made.
CREATE TABLE tokens (
    id          TEXT PRIMARY KEY NOT NULL,  -- the part of the token that is no secret
    name        TEXT NOT NULL,      -- whom it speaks for
    role        TEXT NOT NULL,      -- what its bearer may do
    hash        BLOB NOT NULL,      -- SHA-256 of the secret part
    created_at  INTEGER NOT NULL,   -- when it was made
    expires_at  INTEGER NOT NULL,   -- from when it is good no more
    revoked_at  INTEGER,            -- when it was revoked, if it was
    CONSTRAINT role_is_known CHECK (role IN ('admin', 'analyst', 'producer', 'viewer')),
    CONSTRAINT hash_is_32_bytes CHECK (length(hash) = 32)
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_of_name ON tokens (name);

-- Who did what, in order and without gaps. Each entry is sealed together with the one before, by a key that is not in the
-- clear here: an entry that is edited, removed or put in shows.
CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY,  -- 1 is the first
    at          INTEGER NOT NULL,     -- when it was done
    actor       TEXT NOT NULL,        -- who, for example token:soar
    role        TEXT NOT NULL,        -- as what
    credential  TEXT NOT NULL,        -- proven how
    source      TEXT NOT NULL,        -- from where
    action      TEXT NOT NULL,        -- what was done
    subject     TEXT NOT NULL,        -- to what
    detail      TEXT NOT NULL,        -- what exactly, as JSON; no secrets
    outcome     TEXT NOT NULL,        -- OK, or why it was not done
    mac         BLOB NOT NULL,        -- HMAC-SHA-256 over the entry and the mac of the one before
    CONSTRAINT detail_is_json CHECK (json_valid(detail)),
    CONSTRAINT mac_is_32_bytes CHECK (length(mac) = 32)
) STRICT;

-- Where the audit ends: one row. Without it, removing the last entries would not show.
CREATE TABLE audit_head (
    id     INTEGER PRIMARY KEY,  -- always 1
    key    BLOB NOT NULL,        -- the key of the macs, sealed: nonce and ciphertext
    count  INTEGER NOT NULL,     -- how many entries there are
    mac    BLOB NOT NULL,        -- HMAC-SHA-256 over the count and the mac of the last entry
    CONSTRAINT head_is_one CHECK (id = 1)
) STRICT;

CREATE TRIGGER audit_is_never_edited BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;

CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;

ALTER TABLE deliveries ADD COLUMN requested_by TEXT NOT NULL DEFAULT '';  -- who first asked for it, for example token:soar
