//! What a file is read as: by its name, and a PDF also by how it begins.

pub use crate::retrieval::Kind;

/// Bytes at the beginning of a file in which a PDF says that it is one.
const SIGNATURE_WITHIN_BYTES: usize = 1_024;

/// Names that end like this are source code.
const CODE: &[&str] = &[
    "awk", "bash", "bat", "c", "cc", "clj", "cmake", "cpp", "cs", "css", "cxx", "d", "dart", "erl",
    "ex", "exs", "f90", "fish", "fs", "go", "gradle", "graphql", "groovy", "h", "hh", "hpp", "hs",
    "hxx", "java", "jl", "js", "jsx", "kt", "kts", "less", "lisp", "lua", "m", "mjs", "mk", "ml",
    "mli", "mm", "nim", "nix", "pas", "php", "pl", "pm", "proto", "ps1", "py", "pyi", "r", "rb",
    "rego", "rs", "sass", "scala", "scm", "scss", "sh", "sol", "sql", "svelte", "swift", "tcl",
    "tf", "toml", "ts", "tsx", "v", "vb", "vhd", "vue", "wat", "wit", "yaml", "yml", "zig", "zsh",
];

/// Whole names that are source code.
const CODE_NAMES: &[&str] = &[
    "cmakelists.txt",
    "containerfile",
    "dockerfile",
    "gemfile",
    "justfile",
    "makefile",
    "rakefile",
];

/// What a file is read as.
#[must_use]
pub fn of(name: &str, bytes: &[u8]) -> Kind {
    let name = name.to_lowercase();
    let begins = bytes.get(..SIGNATURE_WITHIN_BYTES).unwrap_or(bytes);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "pdf" => Kind::Pdf,
        _ if begins.windows(5).any(|five| five == b"%PDF-") && begins.contains(&0) => Kind::Pdf,
        _ if begins.starts_with(b"%PDF-") => Kind::Pdf,
        "md" | "markdown" | "mdown" | "mkd" => Kind::Markdown,
        "html" | "htm" | "xhtml" => Kind::Html,
        _ if CODE.binary_search(&ending).is_ok() || CODE_NAMES.contains(&name.as_str()) => {
            Kind::Code
        }
        _ => Kind::Text,
    }
}

/// Its word in the index.
#[must_use]
pub fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Markdown => "markdown",
        Kind::Html => "html",
        Kind::Code => "code",
        Kind::Pdf => "pdf",
    }
}

/// The kind of a word in the index.
#[must_use]
pub fn of_word(written: &str) -> Option<Kind> {
    let kinds = [Kind::Text, Kind::Markdown, Kind::Html, Kind::Code, Kind::Pdf];
    kinds.into_iter().find(|kind| word(*kind) == written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_in_order() {
        assert!(CODE.is_sorted());
    }

    #[test]
    fn names_and_signatures_tell_kinds_apart() {
        for (name, bytes, kind) in [
            ("README.md", "", Kind::Markdown),
            ("INDEX.HTM", "", Kind::Html),
            ("main.rs", "", Kind::Code),
            ("Makefile", "", Kind::Code),
            ("CMakeLists.txt", "", Kind::Code),
            ("notes.txt", "", Kind::Text),
            ("notes", "", Kind::Text),
            ("paper.pdf", "", Kind::Pdf),
            ("paper", "%PDF-1.7\n", Kind::Pdf),
            ("mail", "junk\0\n%PDF-1.7\n", Kind::Pdf),
            ("about.txt", "a PDF begins with %PDF-1.7", Kind::Text),
        ] {
            assert_eq!(of(name, bytes.as_bytes()), kind, "{name}");
            assert_eq!(of_word(word(kind)), Some(kind));
        }
    }
}
