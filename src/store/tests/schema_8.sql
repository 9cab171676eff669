-- A conversation as schema 8 held it: one answered message, a dead letter, and three that wait, two of them in a turn.
INSERT INTO conversations (id, partition, channel, account, phone, created_at, last_seq, pending, wake_at)
VALUES ('01900000-0000-7000-8000-00000000000a', 10, 'whatsapp', '1', '15550001', 1000, 5, 3, 1400);

INSERT INTO messages (conversation_id, seq, provider_id, kind, text, received_at, received_tick, receipt_seq, state, reason, turn_id)
VALUES
    ('01900000-0000-7000-8000-00000000000a', 1, 'a', 'text', 'one', 1000, 1000, 11, 'answered', NULL, '01900000-0000-7000-8000-0000000000a1'),
    ('01900000-0000-7000-8000-00000000000a', 2, 'b', 'text', 'two', 1100, 1100, 12, 'dead_lettered', 'model', '01900000-0000-7000-8000-0000000000a2'),
    ('01900000-0000-7000-8000-00000000000a', 3, 'c', 'text', 'three', 1200, 1200, 13, 'pending', NULL, '01900000-0000-7000-8000-0000000000a3'),
    ('01900000-0000-7000-8000-00000000000a', 4, 'd', 'text', 'four', 1300, 1300, 14, 'pending', NULL, NULL),
    ('01900000-0000-7000-8000-00000000000a', 5, 'e', 'text', 'five', 1400, 1400, 15, 'pending', NULL, '01900000-0000-7000-8000-0000000000a3');

INSERT INTO turns (position, id, conversation_id, state, attempt, first_seq, last_seq, first_part, last_part, started_at)
VALUES
    (1, '01900000-0000-7000-8000-0000000000a1', '01900000-0000-7000-8000-00000000000a', 'committed', 1, 1, 1, 1, 1, 1010),
    (2, '01900000-0000-7000-8000-0000000000a2', '01900000-0000-7000-8000-00000000000a', 'committed', 4, 2, 2, NULL, NULL, 1110),
    (3, '01900000-0000-7000-8000-0000000000a3', '01900000-0000-7000-8000-00000000000a', 'running', 1, 3, 5, NULL, NULL, 1410);

INSERT INTO outbox (position, id, conversation_id, turn_id, channel, account, text, state, not_before, created_at, created_tick)
VALUES (1, '01900000-0000-7000-8000-0000000000b1', '01900000-0000-7000-8000-00000000000a',
        '01900000-0000-7000-8000-0000000000a1', 'whatsapp', '1', 'reply', 'sent', 0, 1050, 1050);
