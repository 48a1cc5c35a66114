-- Models, each as one JSON document. Their bytes are files, by digest.
CREATE TABLE models (
    name   TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
