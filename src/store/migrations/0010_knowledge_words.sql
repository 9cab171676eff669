-- The words that the knowledge base was written with, each with its stem, so that a word with a typing error finds the one that
-- was meant. Words of removed entries stay until the index is made anew; their stems find nothing then.
CREATE TABLE knowledge_words (
    word TEXT NOT NULL,
    stem TEXT NOT NULL,
    PRIMARY KEY (word, stem)
) STRICT, WITHOUT ROWID;

-- An index whose pieces of words begin with an underscore, which is a part of a word here.
DROP TABLE knowledge_stems;
DROP TABLE knowledge_text;

CREATE VIRTUAL TABLE knowledge_text USING fts5 (
    question,
    answer,
    content = '',
    contentless_delete = 1,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co' tokenchars '_'"
);

CREATE VIRTUAL TABLE knowledge_stems USING fts5vocab (knowledge_text, col);

-- It is empty: the next start fills it.
UPDATE knowledge_state SET index_version = 0, generation = generation + 1;
