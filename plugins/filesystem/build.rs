//! A small stack makes a fresh instance cheap: the host clears the memory of one between calls.
//! Nothing here recurses; building a regular expression needs the most, and its nesting is bounded.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_TARGET_FAMILY").is_some_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=131072");
    }
}
