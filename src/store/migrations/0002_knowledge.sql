-- What the business knows. An entry has one row per language.
CREATE TABLE knowledge (
    rowid      INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL,
    language   TEXT    NOT NULL,
    question   TEXT    NOT NULL,
    answer     TEXT    NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (id, language)
) STRICT;

-- The search index over the stems of question and answer. Stemming happens in the program, so the table holds no copy
-- of the text; its rowid is that of the entry. The stems are ASCII or plain letters, which unicode61 leaves alone.
CREATE VIRTUAL TABLE knowledge_text USING fts5 (
    question,
    answer,
    content = '',
    contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 0'
);

-- In how many questions a stem occurs: what the weights of a search are computed from.
CREATE VIRTUAL TABLE knowledge_stems USING fts5vocab (knowledge_text, col);
