//! Memory, tables and instances of one store, summed.
