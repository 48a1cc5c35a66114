//! Texts that tokenizers get wrong.

use proptest::prelude::*;

/// Scripts, marks, accents apart and together, what is dropped and what is nearly so.
pub(crate) fn hard() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\t\n\r \u{a0}\u{2028}\u{3000}\u{85}",
        "How is the CAFÉ spelt? cafe\u{301} CAFE\u{301}\u{327}",
        "Straße STRASSE ẞ ß ſ İ I\u{307} ı ΣΑΣ σας ΌΣΟΣ",
        "東京タワーは1958年に完成した。 서울 中文, 日本\u{ff0c}x",
        "\u{f900}\u{20000}\u{2a700}\u{2b740}\u{2b820}\u{2b920}\u{2ceb0}\u{2f800}\u{30000}",
        "\u{1100}\u{1161} 가 각 ㄱ",
        "🎉👩‍👩‍👧 🏳️‍🌈 ☃\u{fe0f} ©",
        "a\u{0}b\u{1}c\u{7f}d\u{80}e\u{9f}f\u{ad}g\u{200b}h\u{200d}i\u{feff}j\u{fffd}k",
        "a\u{0}B\u{1}c\u{b}d\u{c}E\u{1f}f\u{7f}g\rh\ni\tj",
        "\u{e000}\u{f8ff}\u{10ffff}\u{fdd0}\u{e0001}\u{378}",
        "„quoted“ — 'it's' `x` $5 + 3 < 4 ~ ^ | = € ½ § ¶ ¿¡ «» ‐‑–—…",
        "[CLS] [SEP][SEP] [MASK]x[PAD] [UNK] [sep] [SEP [S[SEP] ]SEP[",
        "\"quoted\\ \\\"quoted\\\\ ##ing ##a # ## ing",
        "Ä\u{308}\u{323}\u{307}q\u{307}\u{323} \u{302e}\u{16ff0} \u{1d165}\u{1d16d}",
        "\u{64b}\u{651} مرحبا بالعالم \u{5e9}\u{5c1} हिन्दी ไทย",
        "ﬁ ﬀ Ⅷ ㎏ ① ²",
        "the\u{a0}the\u{2003}the\u{202f}the\u{205f}the\u{180e}the",
    ]
    .map(str::to_owned)
    .into();
    texts.push("a".repeat(100));
    texts.push("a".repeat(101));
    texts.push("é".repeat(100) + " " + &"é".repeat(101));
    texts.push("the cafe ".repeat(200));
    texts.push("中".repeat(300));
    texts
}

/// A text of pieces that mean something to a tokenizer, and of characters that may.
pub(crate) fn any() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z]{1,8}",
        2 => "[ \\t\\n.,!?]{1,3}",
        2 => proptest::sample::select(hard()),
        1 => proptest::sample::select(vec!["[SEP]", "[CLS]", "[MASK]", "[", "##"]).prop_map(str::to_owned),
        2 => "[\u{a0}-\u{24f}]{1,6}",
        1 => "[\u{300}-\u{36f}]{1,3}",
        1 => "[\u{3400}-\u{9fff}]{1,4}",
        2 => "\\PC{0,6}",
        2 => proptest::collection::vec(proptest::char::any(), 0..6).prop_map(String::from_iter),
    ];
    proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}
