-- What a store remembers of having been put back from a copy.

ALTER TABLE installation ADD COLUMN restored_at INTEGER;  -- when it was last put back from a copy, or may have been
ALTER TABLE installation ADD COLUMN copied_at INTEGER;    -- in a copy made by `ticketing backup`: when; else none

ALTER TABLE deliveries ADD COLUMN absences TEXT NOT NULL DEFAULT '[]';  -- where its ticket was proven not to be, as a JSON array

-- Names that the stream of events had. It gets another whenever events may have been lost.
CREATE TABLE former_streams (
    stream_id  TEXT PRIMARY KEY NOT NULL,  -- a UUID
    last_seq   INTEGER NOT NULL            -- the last event under this name that is still there: tokens after it are of lost ones
) STRICT, WITHOUT ROWID;
