-- Which entries were added, changed or removed, each with the generation of its last change, so that a search follows them one by one
-- instead of reading all of them again. What is a hundred thousand generations old is forgotten: who has slept so long reads all.
CREATE TABLE knowledge_changes (
    entry      INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT;

CREATE INDEX knowledge_changes_by_generation ON knowledge_changes (generation);

CREATE TRIGGER knowledge_changes_end AFTER UPDATE OF generation ON knowledge_state BEGIN
    DELETE FROM knowledge_changes WHERE generation <= new.generation - 100000;
END;

DROP TRIGGER knowledge_added;
DROP TRIGGER knowledge_changed;
DROP TRIGGER knowledge_removed;

CREATE TRIGGER knowledge_added AFTER INSERT ON knowledge BEGIN
    UPDATE knowledge_state SET generation = generation + 1;
    INSERT INTO knowledge_changes (entry, generation) SELECT new.rowid, generation FROM knowledge_state WHERE true
        ON CONFLICT (entry) DO UPDATE SET generation = excluded.generation;
END;

CREATE TRIGGER knowledge_changed AFTER UPDATE ON knowledge BEGIN
    UPDATE knowledge_state SET generation = generation + 1;
    INSERT INTO knowledge_changes (entry, generation) SELECT new.rowid, generation FROM knowledge_state WHERE true
        ON CONFLICT (entry) DO UPDATE SET generation = excluded.generation;
END;

CREATE TRIGGER knowledge_removed AFTER DELETE ON knowledge BEGIN
    UPDATE knowledge_state SET generation = generation + 1;
    INSERT INTO knowledge_changes (entry, generation) SELECT old.rowid, generation FROM knowledge_state WHERE true
        ON CONFLICT (entry) DO UPDATE SET generation = excluded.generation;
END;

-- Every place at which a stem stands, which is what a search reads of the index.
DROP TABLE knowledge_stems;

CREATE VIRTUAL TABLE knowledge_places USING fts5vocab (knowledge_text, instance);
