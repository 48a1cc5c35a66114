//! JSON to WIT values and back, by the rules of the architecture ("JSON mapping").
