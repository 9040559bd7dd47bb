-- The content of incidents, and the attempts of their deliveries, are removed some time after the deliveries ended.

-- A delivery outlives the content that it names. SQLite has no statement that drops a constraint; its documents allow to
-- edit the text of a table instead: https://sqlite.org/lang_altertable.html#otheralter
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(replace(
    sql,
    'CONSTRAINT snapshot_exists FOREIGN KEY (incident_id, incident_revision)', ''),
    'REFERENCES incident_revisions (incident_id, revision),', '')
WHERE type = 'table' AND name = 'deliveries';
PRAGMA writable_schema = RESET;

ALTER TABLE deliveries ADD COLUMN content_removed_at INTEGER  -- when the content of its incident and its attempts were removed
    CONSTRAINT only_settled_has_no_content
    CHECK (content_removed_at IS NULL OR state IN ('DELIVERED', 'FAILED', 'CANCELLED'));

-- What remains of a revision whose content was removed: enough to recognize the incident when it is submitted again.
CREATE TABLE removed_revisions (
    incident_id  TEXT NOT NULL,     -- RhythmX's own ID
    revision     INTEGER NOT NULL,  -- 1 is the first
    digest       BLOB NOT NULL,     -- SHA-256 of the content in a form that does not depend on the version of the server
    removed_at   INTEGER NOT NULL,  -- when its content was removed
    PRIMARY KEY (incident_id, revision),
    CONSTRAINT digest_is_32_bytes CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;

-- Rows with content are in the order of their arrival, beside an index of their keys: so pages are full, and are free
-- again when old content is removed.
ALTER TABLE incident_revisions RENAME TO former_revisions;

-- Incidents as they were handed over. A revision is only kept if a delivery has used it.
CREATE TABLE incident_revisions (
    incident_id  TEXT NOT NULL,     -- RhythmX's own ID
    revision     INTEGER NOT NULL,  -- 1 is the first
    body         ANY NOT NULL,      -- the incident, as JSON: a Zstandard frame, or text
    created_at   INTEGER NOT NULL,  -- when it was accepted
    PRIMARY KEY (incident_id, revision),
    CONSTRAINT revision_counts_from_1 CHECK (revision >= 1),
    CONSTRAINT body_is_json CHECK (typeof(body) = 'blob' OR json_valid(body))
) STRICT;

INSERT INTO incident_revisions (incident_id, revision, body, created_at)
SELECT incident_id, revision, body, created_at FROM former_revisions;

DROP TABLE former_revisions;

CREATE INDEX incident_revisions_oldest ON incident_revisions (created_at);

ALTER TABLE attempts RENAME TO former_attempts;

-- Every try of a delivery, and how it ended.
CREATE TABLE attempts (
    delivery_id  TEXT NOT NULL REFERENCES deliveries (id),  -- what was tried
    number       INTEGER NOT NULL,  -- 1 is the first of its delivery
    target       TEXT NOT NULL,     -- the connection of the delivery
    kind         TEXT NOT NULL,     -- a create, a look-up or a duplicate scan
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
) STRICT;

INSERT INTO attempts (delivery_id, number, target, kind, epoch, started_at, finished_at, outcome, fault)
SELECT delivery_id, number, target, kind, epoch, started_at, finished_at, outcome, fault FROM former_attempts;

DROP TABLE former_attempts;

CREATE INDEX attempts_that_succeeded ON attempts (target, finished_at)
    WHERE kind <> 'SWEEP' AND outcome IN ('CREATED', 'FOUND');
CREATE INDEX attempts_that_failed ON attempts (target, finished_at) WHERE fault IS NOT NULL;
