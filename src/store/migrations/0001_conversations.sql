-- Conversations, their messages and turns, and the replies on their way out.
--
-- Ids are UUIDs as text; `…_at` columns are wall time and `…tick`, `wake_at`, `not_before` and `previous_end` are the steady
-- timeline, both in milliseconds. Each index costs a page write per admitted message or turn, so there are few, and
-- the queues are found through partial indexes that hold only what has not ended.

-- The owner of each slice of the conversations (promise G). All 256 are taken over together by one process.
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    epoch     INTEGER NOT NULL
) STRICT;

INSERT INTO partitions (partition, epoch)
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 255)
SELECT n, 0 FROM numbers;

-- The books of promise H, moved in the transaction that moves the rows, and the clocks that must not run backwards.
CREATE TABLE ledger (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    received         INTEGER NOT NULL DEFAULT 0,
    answered         INTEGER NOT NULL DEFAULT 0,
    suppressed       INTEGER NOT NULL DEFAULT 0,
    dead_lettered    INTEGER NOT NULL DEFAULT 0,
    pending          INTEGER NOT NULL DEFAULT 0,
    parts_created    INTEGER NOT NULL DEFAULT 0,
    parts_pending    INTEGER NOT NULL DEFAULT 0,
    parts_sent       INTEGER NOT NULL DEFAULT 0,
    parts_failed     INTEGER NOT NULL DEFAULT 0,
    parts_ambiguous  INTEGER NOT NULL DEFAULT 0,
    duplicates       INTEGER NOT NULL DEFAULT 0,
    quarantine_lost  INTEGER NOT NULL DEFAULT 0,
    statuses_lost    INTEGER NOT NULL DEFAULT 0,
    last_tick        INTEGER NOT NULL DEFAULT 0,
    last_receipt_seq INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO ledger (id) VALUES (1);

-- One person on one account. `phone`, `user_id` and `handle` repeat the aliases that lead here, so that a reply finds its
-- recipient without an index by conversation.
CREATE TABLE conversations (
    id           TEXT PRIMARY KEY,
    partition    INTEGER NOT NULL,
    channel      TEXT NOT NULL,
    account      TEXT NOT NULL,
    phone        TEXT,
    user_id      TEXT,
    handle       TEXT,
    name         TEXT,
    created_at   INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL DEFAULT 0,
    pending      INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
    needs_human  INTEGER NOT NULL DEFAULT 0,
    language     TEXT,
    merged_into  TEXT,
    previous_end INTEGER,
    wake_at      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX conversations_wake ON conversations (wake_at, id) WHERE wake_at IS NOT NULL;

CREATE TABLE aliases (
    channel         TEXT NOT NULL,
    account         TEXT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('phone', 'user_id', 'handle')),
    value           TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    PRIMARY KEY (channel, account, kind, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id              INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    seq             INTEGER NOT NULL,
    provider_id     TEXT NOT NULL,
    kind            TEXT NOT NULL,
    text            TEXT,
    provider_at     INTEGER,
    received_at     INTEGER NOT NULL,
    received_tick   INTEGER NOT NULL,
    receipt_seq     INTEGER NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'answered', 'suppressed', 'dead_lettered')),
    reason          TEXT,
    turn_id         TEXT,
    alone           INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX messages_conversation ON messages (conversation_id, seq);
CREATE INDEX messages_pending ON messages (conversation_id, seq) WHERE state = 'pending';
CREATE INDEX messages_dead ON messages (id) WHERE state = 'dead_lettered';

-- The provider's message ids that were seen. They outlive their messages, since providers resend for days.
CREATE TABLE dedupe_keys (
    channel         TEXT NOT NULL,
    account         TEXT NOT NULL,
    provider_id     TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    received_at     INTEGER NOT NULL,
    PRIMARY KEY (channel, account, provider_id)
) STRICT, WITHOUT ROWID;

-- `first_seq`..`last_seq` and `first_part`..`last_part` bound the turn's messages and reply parts, so that its rows are found
-- without an index by turn.
CREATE TABLE turns (
    position        INTEGER PRIMARY KEY,
    id              TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('running', 'waiting', 'committed', 'split')),
    attempt         INTEGER NOT NULL,
    failures        INTEGER NOT NULL DEFAULT 0,
    interruptions   INTEGER NOT NULL DEFAULT 0,
    not_before      INTEGER NOT NULL DEFAULT 0,
    first_seq       INTEGER NOT NULL,
    last_seq        INTEGER NOT NULL,
    first_part      INTEGER,
    last_part       INTEGER,
    outcome         TEXT,
    reason          TEXT,
    class           TEXT,
    language        TEXT,
    started_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    journey         TEXT
) STRICT;

CREATE INDEX turns_conversation ON turns (conversation_id, position);
-- One turn of a conversation at a time (promise C).
CREATE UNIQUE INDEX turns_open ON turns (conversation_id) WHERE state IN ('running', 'waiting');

-- What turns leave for people to read.
CREATE TABLE records (
    id              INTEGER PRIMARY KEY,
    class           TEXT NOT NULL,
    text            TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    turn_id         TEXT NOT NULL,
    at              INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox (
    position        INTEGER PRIMARY KEY,
    id              TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    turn_id         TEXT NOT NULL,
    channel         TEXT NOT NULL,
    account         TEXT NOT NULL,
    phone           TEXT,
    user_id         TEXT,
    text            TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'ambiguous', 'sent', 'delivered', 'read', 'failed')),
    attempt         INTEGER NOT NULL DEFAULT 0,
    not_before      INTEGER NOT NULL,
    provider_id     TEXT,
    error           TEXT,
    created_at      INTEGER NOT NULL,
    sent_at         INTEGER,
    delivered_at    INTEGER,
    read_at         INTEGER
) STRICT;

CREATE UNIQUE INDEX outbox_id ON outbox (id);
CREATE INDEX outbox_conversation ON outbox (conversation_id, position);
CREATE INDEX outbox_open ON outbox (conversation_id, position) WHERE state IN ('pending', 'sending', 'ambiguous');
CREATE INDEX outbox_provider ON outbox (provider_id, channel, account) WHERE provider_id IS NOT NULL;

-- Delivery statuses that came before the answer to the send, for parts whose provider's id is not known yet. Bounded.
CREATE TABLE early_statuses (
    id          INTEGER PRIMARY KEY,
    channel     TEXT NOT NULL,
    account     TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('sent', 'delivered', 'read', 'failed')),
    at          INTEGER,
    error       TEXT
) STRICT;

CREATE INDEX early_statuses_provider ON early_statuses (provider_id);

-- Bodies that were signed but not understood. Bounded.
CREATE TABLE quarantine (
    id          INTEGER PRIMARY KEY,
    channel     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    body        BLOB NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

-- Written and emptied again to learn whether there is room for messages.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY,
    filler BLOB NOT NULL
) STRICT;
