//! Pages read by the real models.

use std::time::Instant;

use fastrand::Rng;
use image::ImageFormat;
use meshhost_ocr::page::{self, Options};
use meshhost_ocr::view::Sizing;

use crate::distance::distance;
use crate::models::Folder;
use crate::render::{Look, PLAIN, Page, Sheet, page};

/// Characters of `page` that were not read as they stand on it, of how many.
fn wrong(engine: &Folder, page: &Page, options: &Options) -> (usize, usize) {
    let read = page::recognize(engine, page.sheet.file(ImageFormat::Png), options).unwrap();
    let read: Vec<_> = read.found.into_iter().map(|line| line.text).collect();
    let truth = page.lines.join("\n").replace(' ', "");
    // The model leaves out spaces as it likes.
    (distance(&read.join("\n").replace(' ', ""), &truth), truth.chars().count())
}

#[track_caller]
fn check(name: &str, look: Look, options: &Options, allowed: f64) {
    let mut random = Rng::with_seed(7);
    let (Some(engine), Some(page)) = (Folder::find(), page(look, &mut random)) else {
        return;
    };
    let (wrong, of) = wrong(&engine, &page, options);
    assert!(of > 20, "{name} has {of} characters");
    assert!(wrong as f64 <= of as f64 * allowed, "{name}: {wrong} of {of} characters wrong");
}

const SMALL: Look = Look { width: 700, height: 400, ..PLAIN };

#[test]
fn plain_text_is_read() {
    check("24 pixels", SMALL, &Options::default(), 0.01);
    // Of letters of 14 and 16 pixels the models lose words; on a page of 14 the Python package lost
    // the same ones.
    check("20 pixels", Look { size: 20.0, ..SMALL }, &Options::default(), 0.03);
    check("60 pixels", Look { size: 60.0, ..SMALL }, &Options::default(), 0.01);
}

#[test]
fn noise_and_a_slight_turn_do_little() {
    check("noise", Look { noise: 40, ..SMALL }, &Options::default(), 0.02);
    check("turned", Look { degrees: 2.0, noise: 10, ..SMALL }, &Options::default(), 0.02);
}

#[test]
fn pages_on_their_head_are_read_in_their_order() {
    // The classifier is not sure of every line, and what stands on its head is not read.
    check("180 degrees", Look { degrees: 180.0, ..SMALL }, &Options::default(), 0.15);
}

#[test]
fn a_poster_is_read_in_tiles() {
    // Three lines side by side, two of them across an edge between tiles.
    let look = Look { width: 4_100, height: 160, columns: 3, size: 28.0, ..PLAIN };
    check("in tiles", look, &Options::default(), 0.03);
}

#[test]
fn pieces_say_what_the_whole_says() {
    let mut random = Rng::with_seed(8);
    let (Some(engine), Some(page)) = (Folder::find(), page(SMALL, &mut random)) else {
        return;
    };
    let file = page.sheet.file(ImageFormat::Png);
    let options = Options { sizing: Sizing::Automatic, ..Options::default() };
    let whole = page::recognize(&engine, file.clone(), &options).unwrap().found;
    let regions = page::find_regions(&engine, file.clone(), &options).unwrap().found;
    let mut pieces = Vec::new();
    for some in regions.chunks(6) {
        let lines = page::recognize_regions(&engine, file.clone(), some, &options).unwrap();
        pieces.extend(lines.into_iter().flatten());
    }
    let texts = |lines: &[page::Line]| lines.iter().map(|l| l.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&pieces), texts(&whole));
    assert!(whole.len() > 4);
}

#[test]
fn most_of_the_time_passes_inside_of_the_models() {
    let mut random = Rng::with_seed(9);
    let look = Look { height: 500, ..PLAIN };
    let (Some(engine), Some(page)) = (Folder::find(), page(look, &mut random)) else { return };
    let file = page.sheet.file(ImageFormat::Png);
    let begun = Instant::now();
    page::recognize(&engine, file, &Options::default()).unwrap();
    let (all, models) = (begun.elapsed(), engine.spent());
    assert!(models * 4 > all * 3, "{models:?} of {all:?}");
}

#[test]
fn an_empty_page_says_nothing() {
    let Some(engine) = Folder::find() else { return };
    let sheet = Sheet::new(300, 200, 255, 0);
    let read = page::recognize(&engine, sheet.file(ImageFormat::Png), &Options::default()).unwrap();
    assert_eq!((read.width, read.height), (300, 200));
    assert!(read.found.is_empty());
}
