-- What entries mean, by the models that embedded them; NULL where a model cannot read an entry. Vectors are 32-bit floats, the
-- lowest byte first. Those of another model than the configured one stay until they are removed: changing back costs nothing.
CREATE TABLE knowledge_vectors (
    entry  INTEGER NOT NULL,
    model  TEXT    NOT NULL,
    vector BLOB,
    -- The state of all vectors when this one was written, by which a search sees what is new to it.
    change INTEGER NOT NULL,
    PRIMARY KEY (entry, model)
) STRICT;

CREATE INDEX knowledge_vectors_by_change ON knowledge_vectors (model, change, entry);

-- A number that changes with every change of the vectors.
ALTER TABLE knowledge_state ADD COLUMN vectors INTEGER NOT NULL DEFAULT 0;

-- A text that changed means something else.
CREATE TRIGGER knowledge_means_something_else AFTER UPDATE OF question, answer, language ON knowledge
WHEN old.question <> new.question OR old.answer <> new.answer OR old.language <> new.language BEGIN
    DELETE FROM knowledge_vectors WHERE entry = old.rowid;
END;

CREATE TRIGGER knowledge_means_nothing AFTER DELETE ON knowledge BEGIN
    DELETE FROM knowledge_vectors WHERE entry = old.rowid;
END;

CREATE TRIGGER knowledge_vector_removed AFTER DELETE ON knowledge_vectors BEGIN
    UPDATE knowledge_state SET vectors = vectors + 1;
END;
