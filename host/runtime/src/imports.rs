//! The host functions, one module an interface. Each has a view over the store's state and a `link` function.
