//! What `tokenizers` needs of `ahash`, by the standard library: the real one asks for secure random
//! numbers, which a component has only where they are granted, and traps without them.

/// A map by hash.
pub type AHashMap<K, V> = std::collections::HashMap<K, V>;

/// A set by hash.
pub type AHashSet<K> = std::collections::HashSet<K>;
