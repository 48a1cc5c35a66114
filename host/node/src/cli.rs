//! The command line: parses, asks, prints; the work is behind `api::Request`.
