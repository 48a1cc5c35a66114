//! SQLite: evidence, results, blobs, key-values. The only module that names sqlx.
