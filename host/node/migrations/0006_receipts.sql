-- A receipt holds for many calls: it is kept once, and each route names it.
CREATE TABLE mesh_receipts (
    id     INTEGER PRIMARY KEY,
    at_us  INTEGER NOT NULL,
    signed BLOB NOT NULL
) STRICT;
CREATE INDEX mesh_receipts_by_time ON mesh_receipts (at_us);
ALTER TABLE mesh_routes DROP COLUMN receipt;
ALTER TABLE mesh_routes ADD COLUMN receipt_id INTEGER;
