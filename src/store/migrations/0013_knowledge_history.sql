-- What entries said before they were changed or removed: the last twenty versions of each, and of all no more than the last twenty
-- thousand, so that it does not grow for ever.
CREATE TABLE knowledge_history (
    version     INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL,
    language    TEXT    NOT NULL,
    question    TEXT    NOT NULL,
    phrasings   TEXT    NOT NULL,
    answer      TEXT    NOT NULL,
    tags        TEXT    NOT NULL,
    accounts    TEXT    NOT NULL,
    valid_from  INTEGER,
    valid_until INTEGER,
    -- When it began to say so, and when something else took its place; NULL where it was removed.
    updated_at  INTEGER NOT NULL,
    replaced_at INTEGER
) STRICT;

CREATE INDEX knowledge_history_by_entry ON knowledge_history (id, language, version);

CREATE TRIGGER knowledge_said_before AFTER UPDATE ON knowledge
WHEN old.question <> new.question OR old.phrasings <> new.phrasings OR old.answer <> new.answer OR old.tags <> new.tags
    OR old.accounts <> new.accounts OR old.valid_from IS NOT new.valid_from OR old.valid_until IS NOT new.valid_until
BEGIN
    INSERT INTO knowledge_history
        (id, language, question, phrasings, answer, tags, accounts, valid_from, valid_until, updated_at, replaced_at)
    VALUES
        (old.id, old.language, old.question, old.phrasings, old.answer, old.tags, old.accounts, old.valid_from, old.valid_until,
         old.updated_at, new.updated_at);
END;

CREATE TRIGGER knowledge_said_last AFTER DELETE ON knowledge BEGIN
    INSERT INTO knowledge_history
        (id, language, question, phrasings, answer, tags, accounts, valid_from, valid_until, updated_at)
    VALUES
        (old.id, old.language, old.question, old.phrasings, old.answer, old.tags, old.accounts, old.valid_from, old.valid_until,
         old.updated_at);
END;

CREATE TRIGGER knowledge_history_ends AFTER INSERT ON knowledge_history BEGIN
    DELETE FROM knowledge_history
    WHERE id = new.id AND language = new.language AND version <=
        (SELECT version FROM knowledge_history WHERE id = new.id AND language = new.language
         ORDER BY version DESC LIMIT 1 OFFSET 20);
    DELETE FROM knowledge_history WHERE version <= new.version - 20000;
END;
