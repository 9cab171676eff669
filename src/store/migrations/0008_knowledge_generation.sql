-- A number that changes with every change of the entries, so that a search sees at once whether what it remembers of them
-- still holds.
ALTER TABLE knowledge_state ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER knowledge_added AFTER INSERT ON knowledge BEGIN
    UPDATE knowledge_state SET generation = generation + 1;
END;

CREATE TRIGGER knowledge_changed AFTER UPDATE ON knowledge BEGIN
    UPDATE knowledge_state SET generation = generation + 1;
END;

CREATE TRIGGER knowledge_removed AFTER DELETE ON knowledge BEGIN
    UPDATE knowledge_state SET generation = generation + 1;
END;
