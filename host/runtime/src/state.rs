//! What the store of one call holds.
