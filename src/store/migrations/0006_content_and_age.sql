-- The whole message as its provider wrote it, where it holds more than a text: the place, the file, the chosen option.
ALTER TABLE messages ADD COLUMN content TEXT;

-- When a part was stored, on the steady timeline, by which it is given up.
ALTER TABLE outbox ADD COLUMN created_tick INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET created_tick = created_at;
