-- Whether a search can show tickets of ours at all: what was seen last of a ticket that was delivered to a place. An empty
-- answer proves nothing before one was seen.
CREATE TABLE search_evidence (
    base_url     TEXT NOT NULL,     -- where tickets are created and searched
    place        TEXT NOT NULL,     -- in which project or table
    account      TEXT NOT NULL,     -- who created the tickets
    issue_type   TEXT NOT NULL,     -- as what kind; '' where there is none
    reader       TEXT NOT NULL,     -- the account that searches
    delivery_id  TEXT NOT NULL,     -- whose ticket was read back or found; '' for one that a search showed beside another
    is_shown     INTEGER NOT NULL,  -- 1 if the reader saw it with its marker
    at           INTEGER NOT NULL,  -- when
    PRIMARY KEY (base_url, place, account, issue_type, reader),
    CONSTRAINT shown_is_yes_or_no CHECK (is_shown IN (0, 1))
) STRICT, WITHOUT ROWID;
