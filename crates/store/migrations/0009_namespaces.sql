-- Which producers an incident belongs to.

ALTER TABLE tokens ADD COLUMN namespace TEXT NOT NULL DEFAULT 'default';      -- the namespace that the token carries
ALTER TABLE deliveries ADD COLUMN namespace TEXT NOT NULL DEFAULT 'default';  -- the namespace that its incident belongs to
