-- The record. An event is kept once, as its canonical JSON; the other columns repeat parts of it
-- for look-ups, and verification compares them. A purged event keeps its place and its hashes.
CREATE TABLE events (
    sequence       INTEGER PRIMARY KEY,
    correlation_id TEXT NOT NULL,
    invocation_id  TEXT,
    event_type     TEXT,
    capability_id  TEXT,
    content_hash   TEXT NOT NULL,
    event          TEXT
) STRICT;
CREATE INDEX events_by_correlation ON events (correlation_id);
-- Of two calls with one id, one runs: only their starts have the same key.
CREATE UNIQUE INDEX events_by_invocation
    ON events (invocation_id, iif(event_type = 'execution_started', 0, sequence));

-- Hashes of the complete subtrees of the Merkle tree over the record, 32 bytes each: at every
-- sequence those that its event completes, its own leaf first. So a commit adds to the table's end.
CREATE TABLE tree (
    sequence INTEGER PRIMARY KEY,
    subtrees BLOB NOT NULL
) STRICT;

-- The newest event of each correlation, and who opened it.
CREATE TABLE correlation_heads (
    correlation_id TEXT PRIMARY KEY,
    owner          TEXT NOT NULL,
    content_hash   TEXT NOT NULL,
    sequence       INTEGER NOT NULL,
    starts         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Calls that started and have no end yet.
CREATE TABLE running (
    invocation_id TEXT PRIMARY KEY,
    sequence      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Calls started by each caller on each day (days since 1970-01-01).
CREATE TABLE caller_days (
    subject_id TEXT NOT NULL,
    day        INTEGER NOT NULL,
    starts     INTEGER NOT NULL,
    PRIMARY KEY (subject_id, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE mandate_usage (
    mandate_id    TEXT NOT NULL,
    invocation_id TEXT NOT NULL,
    PRIMARY KEY (mandate_id, invocation_id)
) STRICT, WITHOUT ROWID;

-- Results of idempotent calls, kept for a day. A cache, not evidence.
CREATE TABLE invocation_results (
    invocation_id    TEXT PRIMARY KEY,
    subject_id       TEXT NOT NULL,
    input_commitment TEXT NOT NULL,
    result           TEXT NOT NULL,
    expires_us       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invocation_results_by_end ON invocation_results (expires_us);

-- Blobs that outlive the call that made them. The bytes are files.
CREATE TABLE blobs (
    digest      TEXT PRIMARY KEY,
    length      INTEGER NOT NULL,
    pinned      INTEGER NOT NULL,
    last_use_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE key_values (
    plugin TEXT NOT NULL,
    bucket TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    charge INTEGER NOT NULL,
    PRIMARY KEY (plugin, bucket, key)
) STRICT, WITHOUT ROWID;

-- What each plugin's keys and values come to, kept by the triggers below.
CREATE TABLE key_value_usage (
    plugin TEXT PRIMARY KEY,
    charge INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER key_values_added AFTER INSERT ON key_values BEGIN
    INSERT INTO key_value_usage VALUES (new.plugin, new.charge)
    ON CONFLICT (plugin) DO UPDATE SET charge = charge + excluded.charge;
END;
CREATE TRIGGER key_values_changed AFTER UPDATE ON key_values BEGIN
    UPDATE key_value_usage SET charge = charge - old.charge + new.charge WHERE plugin = new.plugin;
END;
CREATE TRIGGER key_values_removed AFTER DELETE ON key_values BEGIN
    UPDATE key_value_usage SET charge = charge - old.charge WHERE plugin = old.plugin;
END;

-- Installed plugins, each as one JSON document.
CREATE TABLE plugins (
    name   TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which plugin provides a capability that several have.
CREATE TABLE preferences (
    capability_id TEXT PRIMARY KEY,
    plugin        TEXT NOT NULL REFERENCES plugins (name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Failures in a row of each plugin, for each caller; a quarantine lasts until `until_us`.
CREATE TABLE quarantine (
    plugin TEXT PRIMARY KEY NOT NULL REFERENCES plugins (name) ON DELETE CASCADE,
    traps  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
