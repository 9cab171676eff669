-- The whole message as its provider wrote it, where it holds more than a text: the place, the file, the chosen option.
ALTER TABLE messages ADD COLUMN content TEXT;
