-- Why a conversation is set aside, where its rows cannot be read: it stops, and all others go on. The next start tries it
-- again. Only these are in the index.
ALTER TABLE conversations ADD COLUMN set_aside TEXT;

CREATE INDEX conversations_set_aside ON conversations (id) WHERE set_aside IS NOT NULL;
