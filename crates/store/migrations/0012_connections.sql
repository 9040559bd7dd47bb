-- Any number of connections, which can be removed.

ALTER TABLE policy ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;  -- incremented by every change of any settings

-- Connections that were removed. Their deliveries and events stay, and their IDs are never used again.
CREATE TABLE removed_connections (
    target      TEXT PRIMARY KEY NOT NULL,  -- the ID of the connection
    system      TEXT NOT NULL,     -- the kind of ticket system
    removed_at  INTEGER NOT NULL   -- when it was removed
) STRICT, WITHOUT ROWID;
