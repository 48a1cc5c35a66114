-- The peer on whose behalf a call was taken elsewhere; none when that was this node itself.
ALTER TABLE mesh_routes ADD COLUMN on_behalf_of TEXT;
