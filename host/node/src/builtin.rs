//! First-party components inside the binary.
