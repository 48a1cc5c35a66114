//! What a component asks, what the operator agrees to, and what follows from it.
