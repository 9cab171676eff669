-- When an entry was removed, which is the end of what it said last; of those that were removed before this step that is not known.
ALTER TABLE knowledge_history ADD COLUMN removed_at INTEGER;

DROP TRIGGER knowledge_said_last;

-- The database's own clock, so that no way of removing an entry leaves its end out; the program puts that of its own clock in its
-- place.
CREATE TRIGGER knowledge_said_last AFTER DELETE ON knowledge BEGIN
    INSERT INTO knowledge_history
        (id, language, question, phrasings, answer, tags, accounts, valid_from, valid_until, updated_at, removed_at)
    VALUES
        (old.id, old.language, old.question, old.phrasings, old.answer, old.tags, old.accounts, old.valid_from, old.valid_until,
         old.updated_at, CAST(round(unixepoch('subsec') * 1000) AS INTEGER));
END;
