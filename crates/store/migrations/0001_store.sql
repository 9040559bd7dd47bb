-- The store of RhythmX Ticketing. Times are microseconds since 1970-01-01T00:00:00Z. A landed migration is never edited.

-- What this installation is: one row, made at the first start.
CREATE TABLE installation (
    id               INTEGER PRIMARY KEY,  -- always 1
    installation_id  TEXT NOT NULL,        -- a UUID: names this installation, over restored backups too
    stream_id        TEXT NOT NULL,        -- a UUID: tells resume tokens of this store from those of another
    marker_key       BLOB NOT NULL,        -- 32 random bytes that make the markers of this installation its own
    data_key         BLOB NOT NULL,        -- the key of all secrets, sealed with the master key: nonce and ciphertext
    created_at       INTEGER NOT NULL,     -- when it was made
    CONSTRAINT installation_is_one CHECK (id = 1),
    CONSTRAINT marker_key_is_32_bytes CHECK (length(marker_key) = 32)
) STRICT;

-- Incidents as they were handed over. A revision is only kept if a delivery has used it.
CREATE TABLE incident_revisions (
    incident_id  TEXT NOT NULL,     -- RhythmX's own id
    revision     INTEGER NOT NULL,  -- 1 is the first
    body         TEXT NOT NULL,     -- the incident, as JSON
    created_at   INTEGER NOT NULL,  -- when it was accepted
    PRIMARY KEY (incident_id, revision),
    CONSTRAINT revision_counts_from_1 CHECK (revision >= 1),
    CONSTRAINT body_is_json CHECK (json_valid(body))
) STRICT, WITHOUT ROWID;

-- The durable intents to create one ticket in one system, and where they stand.
CREATE TABLE deliveries (
    id                 TEXT PRIMARY KEY NOT NULL,  -- a UUID
    incident_id        TEXT NOT NULL,     -- the incident that becomes a ticket
    incident_revision  INTEGER NOT NULL,  -- the snapshot that the next attempt sends
    target             TEXT NOT NULL,     -- the configured connection that it goes to
    system             TEXT NOT NULL,     -- the kind of ticket system: jira, servicenow
    "trigger"          TEXT NOT NULL,     -- who wanted it
    marker             TEXT NOT NULL,     -- what is written on the ticket to find it again
    state              TEXT NOT NULL,     -- where it stands
    epoch              INTEGER NOT NULL,  -- raised by every claim
    lease_until        INTEGER,           -- until when the present claim holds
    failures           INTEGER NOT NULL,  -- failed attempts that count against the retries
    failing_since      INTEGER,           -- when the first of these failures was
    due_at             INTEGER,           -- when it is to be looked at again
    send               TEXT,              -- the last intent to send, as JSON
    send_at            INTEGER,           -- when it was made
    base_url           TEXT GENERATED ALWAYS AS (send ->> '$.destination.base_url') VIRTUAL,  -- where it was sent
    place              TEXT GENERATED ALWAYS AS (send ->> '$.destination.place') VIRTUAL,     -- to which project or table
    doubt              TEXT,              -- what is not known about the last send, as JSON
    doubted            TEXT NOT NULL,     -- where sends of doubtful outcome went, ever, as a JSON array
    sweep              TEXT,              -- the next search for duplicates, as JSON
    sweep_due_at       INTEGER,           -- when it is to be made
    ticket             TEXT,              -- the ticket, as JSON
    duplicates         TEXT NOT NULL,     -- further tickets that bear the same marker, as a JSON array
    adjustments        TEXT NOT NULL,     -- where the ticket is not as it was meant to be, as a JSON array
    last_error         TEXT,              -- the last thing that went wrong, as JSON
    created_at         INTEGER NOT NULL,  -- when it was accepted
    updated_at         INTEGER NOT NULL,  -- when it last changed
    CONSTRAINT one_delivery_for_an_incident_and_a_target UNIQUE (incident_id, target),
    CONSTRAINT snapshot_exists FOREIGN KEY (incident_id, incident_revision)
        REFERENCES incident_revisions (incident_id, revision),
    CONSTRAINT state_is_known CHECK (state IN
        ('PENDING', 'ATTEMPTING', 'DELIVERED', 'WAITING', 'RECONCILING', 'FAILED', 'CANCELLED')),
    CONSTRAINT trigger_is_known CHECK ("trigger" IN ('MANUAL', 'AUTO_PUSH')),
    CONSTRAINT counts_are_not_negative CHECK (epoch >= 0 AND failures >= 0),
    CONSTRAINT delivered_has_ticket CHECK ((state = 'DELIVERED') = (ticket IS NOT NULL)),
    CONSTRAINT pending_has_due CHECK (state <> 'PENDING' OR due_at IS NOT NULL),
    CONSTRAINT waiting_has_due CHECK (state <> 'WAITING' OR due_at IS NOT NULL),
    CONSTRAINT attempting_has_lease CHECK (state <> 'ATTEMPTING' OR (lease_until IS NOT NULL AND epoch > 0)),
    CONSTRAINT reconciling_is_due_or_leased CHECK
        (state <> 'RECONCILING' OR due_at IS NOT NULL OR lease_until IS NOT NULL),
    CONSTRAINT only_work_is_leased CHECK (lease_until IS NULL OR state IN ('ATTEMPTING', 'RECONCILING')),
    CONSTRAINT settled_is_not_due CHECK
        (due_at IS NULL OR state NOT IN ('ATTEMPTING', 'DELIVERED', 'FAILED', 'CANCELLED')),
    CONSTRAINT reconciling_is_in_doubt CHECK (state <> 'RECONCILING' OR doubt IS NOT NULL),
    CONSTRAINT doubt_is_looked_into_or_given_up CHECK (doubt IS NULL OR state IN ('RECONCILING', 'CANCELLED')),
    CONSTRAINT in_doubt_has_send CHECK (doubt IS NULL OR send IS NOT NULL),
    CONSTRAINT failed_has_error CHECK (state <> 'FAILED' OR last_error IS NOT NULL),
    CONSTRAINT send_has_time CHECK ((send IS NULL) = (send_at IS NULL)),
    CONSTRAINT sweep_has_time CHECK ((sweep IS NULL) = (sweep_due_at IS NULL)),
    CONSTRAINT only_delivered_is_swept CHECK (sweep IS NULL OR state = 'DELIVERED')
) STRICT;

CREATE INDEX deliveries_due ON deliveries (target, state, due_at) WHERE due_at IS NOT NULL AND lease_until IS NULL;
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX deliveries_to_sweep ON deliveries (target, sweep_due_at) WHERE sweep_due_at IS NOT NULL;
CREATE INDEX deliveries_of_target ON deliveries (target, state, id, created_at);
CREATE INDEX deliveries_newest ON deliveries (created_at DESC, id DESC);
CREATE INDEX deliveries_witnesses ON deliveries (base_url, place, send_at)
    WHERE state = 'DELIVERED' AND send_at IS NOT NULL;

-- Every try of a delivery, and how it ended.
CREATE TABLE attempts (
    delivery_id  TEXT NOT NULL REFERENCES deliveries (id),  -- what was tried
    number       INTEGER NOT NULL,  -- 1 is the first of its delivery
    target       TEXT NOT NULL,     -- the target of the delivery
    kind         TEXT NOT NULL,     -- a create, a look-up or a sweep
    epoch        INTEGER NOT NULL,  -- the claim that it was made under
    started_at   INTEGER NOT NULL,  -- when it began
    finished_at  INTEGER NOT NULL,  -- when its outcome was known
    outcome      TEXT NOT NULL,     -- how it ended
    fault        TEXT,              -- what went wrong, as JSON
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT number_counts_from_1 CHECK (number >= 1),
    CONSTRAINT kind_is_known CHECK (kind IN ('CREATE', 'LOOK_UP', 'SWEEP')),
    CONSTRAINT outcome_is_known CHECK (outcome IN
        ('CREATED', 'FOUND', 'FAILED', 'AMBIGUOUS', 'ABSENT', 'UNPROVEN')),
    CONSTRAINT failure_has_fault CHECK ((outcome IN ('FAILED', 'AMBIGUOUS')) = (fault IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_that_succeeded ON attempts (target, finished_at)
    WHERE kind <> 'SWEEP' AND outcome IN ('CREATED', 'FOUND');
CREATE INDEX attempts_that_failed ON attempts (target, finished_at) WHERE fault IS NOT NULL;

-- What happened, in order and without gaps, for subscribers. Trimmed from the front.
CREATE TABLE events (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,  -- 1 is the first of this store
    at           INTEGER NOT NULL,  -- when it happened
    kind         TEXT NOT NULL,     -- what happened
    incident_id  TEXT,              -- the incident, if it is about a delivery
    delivery_id  TEXT,              -- the delivery, if it is about one
    target       TEXT NOT NULL,     -- the target that it is about
    system       TEXT NOT NULL,     -- the kind of ticket system of that target
    body         TEXT NOT NULL,     -- the delivery, or the health of the target, right after, as JSON
    note         TEXT NOT NULL,     -- what an operator said; else empty
    CONSTRAINT delivery_has_incident CHECK ((incident_id IS NULL) = (delivery_id IS NULL))
) STRICT;

-- What operators did.
CREATE TABLE operations (
    id           INTEGER PRIMARY KEY,  -- in order
    delivery_id  TEXT NOT NULL REFERENCES deliveries (id),  -- to which delivery
    kind         TEXT NOT NULL,     -- what was done
    note         TEXT NOT NULL,     -- why, in the operator's words; may be empty
    at           INTEGER NOT NULL,  -- when
    CONSTRAINT kind_is_known CHECK (kind IN ('RETRY', 'CREATE_ANYWAY', 'CANCEL', 'RESOLVE'))
) STRICT;

CREATE INDEX operations_of_delivery ON operations (delivery_id, kind);

-- The health of targets: whether it is wise to send to them.
CREATE TABLE target_health (
    target      TEXT PRIMARY KEY NOT NULL,  -- whose health it is
    system      TEXT NOT NULL,     -- the kind of ticket system
    health      TEXT NOT NULL,     -- what is remembered, as JSON
    updated_at  INTEGER NOT NULL   -- when it last changed
) STRICT, WITHOUT ROWID;

-- The last connection test of each target.
CREATE TABLE target_tests (
    target  TEXT PRIMARY KEY NOT NULL,  -- what was tested
    at      INTEGER NOT NULL,  -- when
    checks  TEXT NOT NULL      -- every step and its outcome, as a JSON array
) STRICT, WITHOUT ROWID;

-- The configured connections.
CREATE TABLE target_settings (
    target         TEXT PRIMARY KEY NOT NULL,  -- its name
    system         TEXT NOT NULL,     -- the kind of ticket system
    enabled        INTEGER NOT NULL,  -- 1 if tickets may go there
    draft          TEXT NOT NULL,     -- the settings that are no secret, as JSON
    base_url       TEXT,              -- where tickets go; none while settings are missing
    secret_kind    TEXT,              -- what the secret is, for example api_token
    secret         BLOB,              -- the secret, sealed: nonce and ciphertext
    secret_origin  TEXT,              -- where it may be sent: scheme, host and port
    secret_set_at  INTEGER,           -- when it was set
    revision       INTEGER NOT NULL,  -- raised by every change; 1 is the first
    updated_at     INTEGER NOT NULL,  -- when it last changed
    CONSTRAINT enabled_is_yes_or_no CHECK (enabled IN (0, 1)),
    CONSTRAINT secret_is_whole CHECK (
        (secret IS NULL) = (secret_kind IS NULL) AND
        (secret IS NULL) = (secret_origin IS NULL) AND
        (secret IS NULL) = (secret_set_at IS NULL))
) STRICT, WITHOUT ROWID;

-- Former connections: what was sent there may still have to be looked up there.
CREATE TABLE retired_connections (
    target         TEXT NOT NULL,     -- whose connection it was
    base_url       TEXT NOT NULL,     -- where tickets went
    secret_origin  TEXT NOT NULL,     -- where the secret may be sent: scheme, host and port
    system         TEXT NOT NULL,     -- the kind of ticket system
    draft          TEXT NOT NULL,     -- the settings that are no secret, as JSON
    secret_kind    TEXT NOT NULL,     -- what the secret is
    secret         BLOB NOT NULL,     -- the secret, sealed: nonce and ciphertext
    retired_at     INTEGER NOT NULL,  -- when another took its place
    PRIMARY KEY (target, base_url)
) STRICT, WITHOUT ROWID;

-- The settings that belong to no target: one row.
CREATE TABLE policy (
    id          INTEGER PRIMARY KEY,  -- always 1
    auto_push   TEXT NOT NULL,     -- which incidents become tickets by themselves, as JSON
    retry       TEXT NOT NULL,     -- the schedule of retries, as JSON
    updated_at  INTEGER NOT NULL,  -- when it last changed
    CONSTRAINT policy_is_one CHECK (id = 1)
) STRICT;
