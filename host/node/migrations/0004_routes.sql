-- Which piece of work a call that ran elsewhere belongs to.
ALTER TABLE mesh_routes ADD COLUMN correlation_id TEXT;
CREATE INDEX mesh_routes_by_correlation ON mesh_routes (correlation_id);
