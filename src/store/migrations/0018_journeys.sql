-- When the send that was accepted began: what lies before is the commit, the wait for a place, and earlier sends.
ALTER TABLE outbox ADD COLUMN sending_at INTEGER;

-- When somebody had an ambiguous part sent again: it is given up so long after that, not after it was stored.
ALTER TABLE outbox ADD COLUMN resent_tick INTEGER;
