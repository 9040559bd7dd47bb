-- What is secret about a connection besides the secret for its ticket system: one row for each.
CREATE TABLE target_secrets (
    target         TEXT NOT NULL,     -- whose connection it is
    base_url       TEXT NOT NULL,     -- that of a former connection; '' for the one in force
    used_for       TEXT NOT NULL,     -- who asks for it, for example proxy
    secret_kind    TEXT NOT NULL,     -- what the secret is, for example proxy_password
    secret_key     INTEGER NOT NULL,  -- which data key has sealed the secret
    secret         BLOB NOT NULL,     -- the secret, sealed: nonce and ciphertext
    secret_origin  TEXT NOT NULL,     -- where it may be sent: scheme, host and port
    secret_set_at  INTEGER NOT NULL,  -- when it was set
    PRIMARY KEY (target, base_url, used_for)
) STRICT, WITHOUT ROWID;
