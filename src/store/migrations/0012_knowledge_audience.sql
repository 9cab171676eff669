-- Other ways in which a question is put, what an entry is about, the accounts it is for (each a JSON list of texts), and from when
-- until when it holds (milliseconds since the Unix epoch).
ALTER TABLE knowledge ADD COLUMN phrasings TEXT NOT NULL DEFAULT '[]';
ALTER TABLE knowledge ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE knowledge ADD COLUMN accounts TEXT NOT NULL DEFAULT '[]';
ALTER TABLE knowledge ADD COLUMN valid_from INTEGER;
ALTER TABLE knowledge ADD COLUMN valid_until INTEGER;

-- Those that are not for every search, which are few in most bases.
CREATE INDEX knowledge_for_some ON knowledge (rowid)
    WHERE tags <> '[]' OR accounts <> '[]' OR valid_from IS NOT NULL OR valid_until IS NOT NULL;

-- A vector of each way in which a question is put, one behind the other; how many they are. Of a way that the model cannot read:
-- zeros.
ALTER TABLE knowledge_vectors ADD COLUMN ways INTEGER NOT NULL DEFAULT 1;

DROP TRIGGER knowledge_means_something_else;

CREATE TRIGGER knowledge_means_something_else AFTER UPDATE OF question, phrasings, answer, language ON knowledge
WHEN old.question <> new.question OR old.phrasings <> new.phrasings OR old.answer <> new.answer OR old.language <> new.language
BEGIN
    DELETE FROM knowledge_vectors WHERE entry = old.rowid;
END;

-- A number that changes when vectors are removed, so that a search looks for those that are gone only then.
ALTER TABLE knowledge_state ADD COLUMN vectors_removed INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER knowledge_vector_removed;

CREATE TRIGGER knowledge_vector_removed AFTER DELETE ON knowledge_vectors BEGIN
    UPDATE knowledge_state SET vectors = vectors + 1, vectors_removed = vectors_removed + 1;
END;
