-- What failed or was cancelled after a doubt is swept too: its ticket may turn up later.

-- SQLite has no statement that changes a constraint. Its documents allow to edit the text of a table instead where no
-- stored row changes by it, as with a check: https://sqlite.org/lang_altertable.html#otheralter
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(
    sql,
    'only_delivered_is_swept CHECK (sweep IS NULL OR state = ''DELIVERED'')',
    'only_settled_is_swept CHECK (sweep IS NULL OR state IN (''DELIVERED'', ''FAILED'', ''CANCELLED''))')
WHERE type = 'table' AND name = 'deliveries';
PRAGMA writable_schema = RESET;
