-- What a start must know about the knowledge base: by which rules its search index was made, and whether the sample was
-- offered, so that it does not come back when a business has removed it.
CREATE TABLE knowledge_state (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    index_version  INTEGER NOT NULL,
    sample_offered INTEGER NOT NULL
) STRICT;

INSERT INTO knowledge_state (id, index_version, sample_offered)
SELECT 1, 0, EXISTS (SELECT 1 FROM knowledge);
