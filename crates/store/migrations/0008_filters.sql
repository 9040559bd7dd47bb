-- What deliveries are filtered by, and what is known of tickets that operators named.

-- What is known of a ticket that an operator named: VERIFIED if it was read, else UNVERIFIED; NULL if it was created or found.
ALTER TABLE deliveries ADD COLUMN resolution TEXT
    CONSTRAINT resolution_is_known CHECK (resolution IN ('VERIFIED', 'UNVERIFIED'));

-- Until now nobody read the tickets that operators named.
UPDATE deliveries SET resolution = 'UNVERIFIED'
WHERE state = 'DELIVERED'
    AND EXISTS (SELECT 1 FROM operations WHERE delivery_id = deliveries.id AND kind = 'RESOLVE');

ALTER TABLE deliveries ADD COLUMN ticket_key TEXT
    GENERATED ALWAYS AS (substr(ticket ->> '$.key', 1, 255)) VIRTUAL;       -- what people call the ticket
ALTER TABLE deliveries ADD COLUMN ticket_id TEXT
    GENERATED ALWAYS AS (substr(ticket ->> '$.id', 1, 255)) VIRTUAL;        -- the ticket system's own identifier of it
ALTER TABLE deliveries ADD COLUMN fault_kind TEXT
    GENERATED ALWAYS AS (last_error ->> '$.fault.kind') VIRTUAL;            -- what the last thing that went wrong was

-- One for each filter, in the order of the pages: a page is read from where the one before it ended.
CREATE INDEX deliveries_by_state ON deliveries (state, created_at DESC, id DESC);
CREATE INDEX deliveries_by_connection ON deliveries (target, created_at DESC, id DESC);
CREATE INDEX deliveries_by_system ON deliveries (system, created_at DESC, id DESC);
CREATE INDEX deliveries_by_ticket_key ON deliveries (ticket_key, created_at DESC, id DESC) WHERE ticket_key IS NOT NULL;
CREATE INDEX deliveries_by_fault_kind ON deliveries (fault_kind, created_at DESC, id DESC) WHERE fault_kind IS NOT NULL;

-- Whose ticket it is.
CREATE INDEX deliveries_by_ticket_id ON deliveries (ticket_id) WHERE ticket_id IS NOT NULL;
CREATE INDEX deliveries_by_marker ON deliveries (marker);
