-- What the business, or an operator who corrected a class, says about which texts are of which class; beside the examples that are
-- built in or stand in the configuration. A text is there once: `key` is the text without what makes no difference to its words,
-- and the latest to say something of it is right.
CREATE TABLE classifier_examples (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT    NOT NULL UNIQUE,
    text     TEXT    NOT NULL,
    class    TEXT    NOT NULL,
    language TEXT,
    origin   TEXT    NOT NULL CHECK (origin IN ('import', 'correction')),
    -- Of which turn a correction was made.
    turn_id  TEXT,
    at       INTEGER NOT NULL
) STRICT;

-- A number that changes with every change of the examples, so that the classifier sees at once whether it has learnt from them.
CREATE TABLE classifier_state (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO classifier_state (id) VALUES (1);

CREATE TRIGGER classifier_example_added AFTER INSERT ON classifier_examples BEGIN
    UPDATE classifier_state SET generation = generation + 1;
END;

CREATE TRIGGER classifier_example_changed AFTER UPDATE ON classifier_examples BEGIN
    UPDATE classifier_state SET generation = generation + 1;
END;

CREATE TRIGGER classifier_example_removed AFTER DELETE ON classifier_examples BEGIN
    UPDATE classifier_state SET generation = generation + 1;
END;
