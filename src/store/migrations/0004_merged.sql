-- Finds the conversations that were merged into another one, whose replies follow its aliases. Merges are rare, so the
-- index is small.
CREATE INDEX conversations_merged ON conversations (merged_into) WHERE merged_into IS NOT NULL;
