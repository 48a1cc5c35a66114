//! Texts that are nothing but marks: reading them takes time in proportion to their length, so they end
//! here as well as at eight MiB.

use meshhost_rag::kind::Kind;
use meshhost_rag::read::read;

/// Bytes of each text. What took the square of it would take minutes.
const BYTES: usize = 512 * 1024;

fn read_each(kind: Kind, units: &[&str]) {
    for unit in units {
        let text = unit.repeat(BYTES / unit.len());
        let lines = u32::try_from(text.split('\n').count()).unwrap();
        let Ok(document) = read(kind, text.into_bytes()) else { continue };
        for block in &document.blocks {
            let (first, last) = document.places.of(&block.range);
            assert!((1..=lines).contains(&first) && first <= last && last <= lines, "{unit:?}");
        }
    }
}

#[test]
fn markdown() {
    let units = [
        "[",
        "![",
        "](",
        "[a][",
        "![[]()",
        "`",
        "`a``b",
        "*",
        "_",
        "*a_ ",
        "**a ",
        "~~",
        "<",
        "<?",
        "&",
        ">",
        "> \n",
        "- ",
        "1. ",
        "- \n  ",
        "#",
        "||\n",
        "a|b\n-|-\n",
        "[^a]: ",
        "[a]: b\n",
        "a\n=\n",
        "\\",
        "\t",
    ];
    read_each(Kind::Markdown, &units);
}

#[test]
fn html() {
    let units = [
        "<",
        "<a ",
        "<a",
        "</",
        "<x y=",
        "<div>",
        "<h1>",
        "</h1>",
        "<svg>",
        "</svg>",
        "<title>",
        "<pre>",
        "<!--",
        "<![CDATA[",
        "<?",
        "&",
        "&a",
        "&#",
        "<br>",
        "<td>",
        "a\n",
        " ",
    ];
    read_each(Kind::Html, &units);
}

#[test]
fn code_and_text() {
    let units = ["}", "}\n\n", "a\n\n", "\n", " ", "end\n\n", "a. ", "。"];
    read_each(Kind::Code, &units);
    read_each(Kind::Text, &units);
}
