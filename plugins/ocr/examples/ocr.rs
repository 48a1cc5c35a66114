//! What `tests/bench/ocr.py` compares with the Python package: makes pages with what stands on them,
//! and reads pages with the models in the folder that `MESHHOST_MODELS_DIR` names.
//!
//! ```text
//! cargo run -p meshhost-ocr --example ocr -- pages FOLDER
//! cargo run -p meshhost-ocr --example ocr -- read FILE...
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool of the tests"
)]

#[path = "../tests/ocr/models.rs"]
mod models;
#[path = "../tests/ocr/render.rs"]
mod render;

use std::fs;
use std::path::Path;
use std::time::Instant;

use fastrand::Rng;
use image::ImageFormat;
use meshhost_ocr::page::{Line, Options, recognize};
use render::{Look, PLAIN, Page, page};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["pages", folder] => write_pages(Path::new(folder)),
        ["read", files @ ..] if !files.is_empty() => read(files),
        _ => eprintln!("give `pages FOLDER` or `read FILE...`"),
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

/// One line for each file and one for each line of text, its parts between tabs.
fn read(files: &[&str]) {
    let Some(engine) = models::Folder::find() else { return };
    for file in files {
        let bytes = fs::read(file).unwrap();
        let (begun, before) = (Instant::now(), engine.spent());
        let page = match recognize(&engine, bytes, &Options::default()) {
            Ok(page) => page,
            Err(failure) => {
                println!("failure\t{file}\t{failure}");
                continue;
            }
        };
        let (all, models) = (begun.elapsed(), engine.spent() - before);
        println!("file\t{file}\t{}\t{}", all.as_millis(), models.as_millis());
        page.found.iter().for_each(print);
    }
}

fn print(line: &Line) {
    let corners: Vec<_> = line.corners.iter().map(|c| format!("{} {}", c.x, c.y)).collect();
    let Line { text, confidence, angle, .. } = line;
    println!("line\t{confidence}\t{angle}\t{}\t{text}", corners.join(" "));
}
