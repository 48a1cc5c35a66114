//! The one engine: its configuration as decided in the architecture, its pool, its semaphore.
