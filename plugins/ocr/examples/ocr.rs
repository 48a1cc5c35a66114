//! Makes the pages that `tests/bench/ocr.py` compares with the Python package, with what stands on
//! them, the same ones each time: `cargo run -p meshhost-ocr --example ocr -- FOLDER`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stderr,
    reason = "a tool of the tests"
)]

#[path = "../tests/ocr/render.rs"]
mod render;

use std::fs;
use std::path::Path;

use fastrand::Rng;
use image::ImageFormat;
use render::{Look, PLAIN, Page, page};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [folder] => write_pages(Path::new(folder)),
        _ => eprintln!("give the folder to put the pages into"),
    }
}

/// `NAME.png` and `NAME.txt` for each page.
fn write_pages(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, page) in pages() {
        let file = folder.join(name);
        fs::write(file.with_extension("png"), page.sheet.file(ImageFormat::Png)).unwrap();
        fs::write(file.with_extension("txt"), page.lines.join("\n")).unwrap();
    }
}

/// The pages of the comparison with the Python package.
fn pages() -> impl Iterator<Item = (&'static str, Page)> {
    let looks = [
        ("plain", PLAIN),
        ("serif", Look { font: "DejaVuSerif", ..PLAIN }),
        ("mono", Look { font: "DejaVuSansMono", ..PLAIN }),
        ("bold", Look { font: "DejaVuSans-Bold", ..PLAIN }),
        ("italic", Look { font: "DejaVuSerif-Italic", ..PLAIN }),
        ("condensed", Look { font: "DejaVuSansCondensed", ..PLAIN }),
        ("size-14", Look { size: 14.0, width: 800, height: 1000, ..PLAIN }),
        ("size-18", Look { size: 18.0, width: 1000, height: 1400, ..PLAIN }),
        ("size-32", Look { size: 32.0, ..PLAIN }),
        ("size-48", Look { size: 48.0, ..PLAIN }),
        ("size-90", Look { size: 90.0, ..PLAIN }),
        ("columns-2", Look { columns: 2, ..PLAIN }),
        ("columns-3", Look { columns: 3, size: 20.0, ..PLAIN }),
        ("columns-5", Look { columns: 5, size: 18.0, ..PLAIN }),
        ("noise-20", Look { noise: 20, ..PLAIN }),
        ("noise-60", Look { noise: 60, ..PLAIN }),
        ("pale", Look { paper: 230, ink: 120, ..PLAIN }),
        ("light-on-dark", Look { paper: 20, ink: 230, ..PLAIN }),
        ("turned-1", Look { degrees: 1.0, ..PLAIN }),
        ("turned-2-back", Look { degrees: -2.0, ..PLAIN }),
        ("turned-4", Look { degrees: 4.0, size: 30.0, ..PLAIN }),
        ("turned-8-back", Look { degrees: -8.0, size: 30.0, ..PLAIN }),
        ("turned-noise", Look { degrees: 1.5, noise: 30, ..PLAIN }),
        ("on-its-head", Look { degrees: 180.0, ..PLAIN }),
        ("scan-300", Look { width: 2480, height: 3508, size: 50.0, noise: 15, ..PLAIN }),
        ("scan-300-turned", Look { width: 2480, height: 3508, size: 60.0, degrees: 0.7, ..PLAIN }),
        ("wide", Look { width: 1920, height: 1080, columns: 3, ..PLAIN }),
        ("wide-dark", Look { width: 1920, height: 1080, paper: 40, ink: 200, size: 20.0, ..PLAIN }),
        ("small", Look { width: 400, height: 300, size: 20.0, ..PLAIN }),
        ("tiny", Look { width: 300, height: 140, size: 22.0, ..PLAIN }),
        ("strip", Look { width: 1500, height: 170, size: 30.0, ..PLAIN }),
        ("receipt", Look { width: 500, height: 1900, size: 22.0, font: "DejaVuSansMono", ..PLAIN }),
        ("odd-size", Look { width: 1111, height: 777, size: 23.0, noise: 10, ..PLAIN }),
        ("serif-bold", Look { font: "DejaVuSerif-Bold", size: 28.0, noise: 25, ..PLAIN }),
    ];
    let mut random = Rng::with_seed(20_261_126);
    looks.into_iter().filter_map(move |(name, look)| Some((name, page(look, &mut random)?)))
}
