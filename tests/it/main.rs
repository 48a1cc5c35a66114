//! Starts the real `meshhost` for each test. One binary, so that it is linked once.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;
mod limits;
