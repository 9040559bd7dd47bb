-- What makes the cost of reads independent of the number of deliveries.

-- The number of deliveries by connection and state. It is changed in the transaction that changes them, by the difference
-- that a batch makes. No constraint: a wrong number must not stop a delivery.
CREATE TABLE delivery_counts (
    target           TEXT NOT NULL,     -- the connection
    state            TEXT NOT NULL,     -- the state of the deliveries
    count            INTEGER NOT NULL,  -- how many there are
    needs_attention  INTEGER NOT NULL,  -- how many of them only an operator can settle
    PRIMARY KEY (target, state)
) STRICT, WITHOUT ROWID;

INSERT INTO delivery_counts (target, state, count, needs_attention)
SELECT target, state, count(*), count(*) FILTER (WHERE state = 'RECONCILING' AND doubt ->> '$.is_unproven' = 1)
FROM deliveries GROUP BY target, state;

-- Deliveries with a send of unknown outcome that may still have to be looked up, or scanned for, where it went to.
CREATE INDEX deliveries_to_look_up ON deliveries (target)
    WHERE doubt IS NOT NULL
        OR doubted <> '[]' AND (sweep IS NOT NULL OR state IN ('PENDING', 'ATTEMPTING', 'WAITING', 'RECONCILING'));
