//! The plugins of this node: a snapshot that calls read without waiting.
