//! WIT types to JSON Schema 2020-12.
