-- The messages of a conversation lie together, by their numbers. An admission then writes one leaf for a message instead of
-- three (the table's end, the index by conversation and the index of what waits), a history is read from one or two, and what
-- waits is found from `first_pending` on. What is asked for often stands before the texts.
--
-- A message gets its turn's id when the turn ends, in the write that ends it; until then the turn names its messages:
-- all from `first_seq` to `last_seq`, or those of the list `seqs` (JSON) where it leaves some of them out. Each of them waits.
ALTER TABLE turns ADD COLUMN seqs TEXT;

-- Whatever the turn's state: one that does not exist may yet be mended.
UPDATE turns SET seqs = (
    SELECT json_group_array(seq) FROM messages AS m
    WHERE m.conversation_id = turns.conversation_id AND m.turn_id = turns.id AND m.state = 'pending'
) WHERE id IN (SELECT turn_id FROM messages WHERE state = 'pending');

-- No message with a smaller number waits.
ALTER TABLE conversations ADD COLUMN first_pending INTEGER NOT NULL DEFAULT 0;

CREATE TABLE messages_by_conversation (
    conversation_id TEXT NOT NULL,
    seq             INTEGER NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'answered', 'suppressed', 'dead_lettered')),
    alone           INTEGER NOT NULL DEFAULT 0,
    receipt_seq     INTEGER NOT NULL,
    received_tick   INTEGER NOT NULL,
    received_at     INTEGER NOT NULL,
    provider_at     INTEGER,
    turn_id         TEXT,
    reason          TEXT,
    provider_id     TEXT NOT NULL,
    kind            TEXT NOT NULL,
    text            TEXT,
    content         TEXT,
    PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO messages_by_conversation (
    conversation_id, seq, state, alone, receipt_seq, received_tick, received_at, provider_at, turn_id, reason,
    provider_id, kind, text, content
)
SELECT conversation_id, seq, state, alone, receipt_seq, received_tick, received_at, provider_at,
       CASE WHEN state = 'pending' THEN NULL ELSE turn_id END, reason, provider_id, kind, text, content
FROM messages ORDER BY conversation_id, seq;

DROP TABLE messages;
ALTER TABLE messages_by_conversation RENAME TO messages;

-- Dead letters are listed and named by the number of their receipt, which no other message has.
CREATE INDEX messages_dead ON messages (receipt_seq) WHERE state = 'dead_lettered';

-- The parts of a conversation are found through its turns, which bound them.
DROP INDEX outbox_conversation;
