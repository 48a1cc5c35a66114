//! The first-party components inside the binary: `meshhost plugin install git` needs no file.
//!
//! The table is made by the build from what `cargo xtask guests` built before; it is empty when
//! nothing was.

/// Names and bytes, sorted by name.
static COMPONENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// The component of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static [u8]> {
    COMPONENTS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The names there are, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMPONENTS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_name_is_a_component() {
        for name in names() {
            assert_eq!(find(name).unwrap().get(..4), Some(b"\0asm".as_slice()), "{name}");
        }
        assert_eq!(find("no-such-plugin"), None);
    }
}
