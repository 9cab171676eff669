-- The conversations that a person should look at, in the order in which they began. Only these are in the index, so a turn
-- that asks for nobody writes no page of it.
CREATE INDEX conversations_human ON conversations (id) WHERE needs_human = 1;
