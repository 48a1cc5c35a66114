-- The community that this node belongs to, if any: its signed beginning, what the node is called
-- there and where it listens.
CREATE TABLE mesh_community (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    genesis BLOB NOT NULL,
    name    TEXT NOT NULL,
    listen  TEXT NOT NULL
) STRICT;

-- What members signed about members, one statement of each issuer about each.
CREATE TABLE mesh_statements (
    member TEXT NOT NULL,
    issuer TEXT NOT NULL,
    signed BLOB NOT NULL,
    PRIMARY KEY (member, issuer)
) STRICT, WITHOUT ROWID;

-- What this node lets its peers call, and which.
CREATE TABLE mesh_shares (
    capability  TEXT NOT NULL,
    shared_with TEXT NOT NULL,
    PRIMARY KEY (capability, shared_with)
) STRICT, WITHOUT ROWID;

-- Tickets that this node issued, by the digest of their secret.
CREATE TABLE mesh_tickets (
    secret TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Calls of this node that ran on another: where, why there, and what that node signed about it.
CREATE TABLE mesh_routes (
    invocation_id TEXT PRIMARY KEY,
    at_us         INTEGER NOT NULL,
    capability    TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    ran_on        TEXT,
    words         TEXT NOT NULL,
    route         TEXT NOT NULL,
    receipt       BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX mesh_routes_by_time ON mesh_routes (at_us);

-- Where peers were last seen: to be dialled, never to be trusted.
CREATE TABLE mesh_peers (
    peer      TEXT PRIMARY KEY,
    addresses TEXT NOT NULL,
    seen_us   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
