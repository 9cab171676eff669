-- Who answers a conversation in the place of the bot, and until when on the steady timeline if they write nothing more.
ALTER TABLE conversations ADD COLUMN taken_by TEXT;
ALTER TABLE conversations ADD COLUMN taken_until INTEGER;

-- Who had the conversation while the turn was open: it says nothing.
ALTER TABLE turns ADD COLUMN silenced_by TEXT;

-- Who wrote a part; nobody where it was the bot.
ALTER TABLE outbox ADD COLUMN author TEXT;
