-- Sessions of the console that were ended before their time, until they would have ended by themselves.
CREATE TABLE signed_out (
    session TEXT PRIMARY KEY,
    ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
