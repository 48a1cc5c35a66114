//! PDFs that are cut off, damaged or meant to harm: an error in the answer, and nothing worse.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use meshhost_rag::ingest::ingest;
use meshhost_rag::kind::Kind;
use meshhost_rag::ports::Index;
use meshhost_rag::read::{Unreadable, read};

use crate::garden::{garden, wanted};
use crate::stand_in::World;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(&garden()).join(name)).unwrap()
}

/// A PDF whose objects are these, the first being the catalogue; without a table of them, which readers
/// have to do without.
fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    for (number, object) in (1..).zip(objects) {
        file.extend(format!("{number} 0 obj\n").bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    file.extend(b"trailer << /Root 1 0 R >>\n%%EOF\n");
    file
}

fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary} /Length {} >>\nstream\n", data.len()).into_bytes();
    object.extend(data);
    object.extend(b"\nendstream");
    object
}

/// One page that draws this, with what it may name.
fn page(content: Vec<u8>, resources: &str, rest: &[Vec<u8>]) -> Vec<u8> {
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R /Resources << {resources} >> >>"
        )
        .into_bytes(),
        content,
    ];
    objects.extend_from_slice(rest);
    pdf(&objects)
}

const FONT: &str = "/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>";
const HELLO: &[u8] =
    b"BT /F 12 Tf 20 200 Td (Hello) Tj 60 0 Td (there) Tj -60 -14 Td (again) Tj ET";

fn text(file: Vec<u8>) -> Result<String, Unreadable> {
    read(Kind::Pdf, file).map(|document| document.text.trim().to_owned())
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn draws_more() -> Result<String, Unreadable> {
    Err(Unreadable::Wrong("it draws more than what is taken".to_owned()))
}

#[test]
fn a_plain_page_is_read() {
    let hello = page(stream("", HELLO), FONT, &[]);
    assert_eq!(text(hello), Ok("Hello there\nagain".to_owned()));
    let hello = page(stream("/Filter /FlateDecode", &deflated(HELLO)), FONT, &[]);
    assert_eq!(text(hello), Ok("Hello there\nagain".to_owned()));
    // Text that a scanner laid invisibly over its picture, and text drawn twice.
    let hidden =
        b"BT /F 12 Tf 3 Tr 20 200 Td (Hello) Tj ET BT /F 12 Tf 2 Tr 20 180 Td (twice) Tj ET";
    assert_eq!(text(page(stream("", hidden), FONT, &[])), Ok("Hello\ntwice".to_owned()));
}

#[test]
fn what_holds_no_text_says_so() {
    let empty = page(stream("", b"0 0 100 100 re f"), FONT, &[]);
    assert!(matches!(text(empty), Err(Unreadable::Wrong(why)) if why.contains("no text")));
    assert!(
        matches!(text(b"%PDF-1.7".to_vec()), Err(Unreadable::Wrong(why)) if why.contains("damaged"))
    );
    assert!(text(Vec::new()).is_err());
}

#[test]
fn every_truncation_ends() {
    for name in ["compost.pdf", "columns.pdf"] {
        let whole = fixture(name);
        let step = (whole.len() / 400).max(1);
        for end in (0..whole.len()).step_by(step) {
            let _ = read(Kind::Pdf, whole[..end].to_vec());
        }
    }
}

#[test]
fn damaged_bytes_end() {
    let random = &mut fastrand::Rng::with_seed(7);
    let plain = page(stream("", HELLO), FONT, &[]);
    for whole in [fixture("compost.pdf"), fixture("columns.pdf"), plain] {
        for _ in 0..400 {
            let mut file = whole.clone();
            for _ in 0..random.usize(1..12) {
                let at = random.usize(..file.len());
                match random.u8(..4) {
                    0 => file[at] = random.u8(..),
                    1 => file[at] ^= 1 << random.u8(..8),
                    2 => drop(file.drain(at..(at + random.usize(..40)).min(file.len()))),
                    _ => {
                        let digits = random
                            .choice([&b"-1"[..], b"0", b"99999999999", b"[[[[", b"<<"])
                            .unwrap();
                        file.splice(at..at, digits.iter().copied());
                    }
                }
                if file.is_empty() {
                    break;
                }
            }
            let _ = read(Kind::Pdf, file);
        }
    }
}

#[test]
fn structures_that_lead_in_circles_end() {
    let form = |next: usize| {
        let next = format!("/XObject << /X {next} 0 R >>");
        let dictionary = format!("/Subtype /Form /BBox [0 0 9 9] /Resources << {next} >>");
        stream(&dictionary, b"/X Do /X Do")
    };
    let drawn =
        |forms: &[Vec<u8>]| text(page(stream("", b"/X Do"), "/XObject << /X 5 0 R >>", forms));
    // Circles are seen through by the library.
    assert!(drawn(&[form(5)]).is_err());
    assert!(drawn(&[form(6), form(5)]).is_err());
    // No circle, but each of twenty forms draws the next one twice.
    let forms: Vec<_> = (6..26).map(form).collect();
    assert_eq!(drawn(&forms), draws_more());
    let tree = pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>".to_vec(),
    ]);
    assert!(text(tree).is_err());
    let reference = pdf(&[b"2 0 R".to_vec(), b"1 0 R".to_vec()]);
    assert!(text(reference).is_err());
    let nested = page(stream("", &b"[".repeat(100_000)), FONT, &[]);
    assert!(text(nested).is_err());
    let nested = pdf(&[b"<< /Type /Catalog /Pages "
        .iter()
        .copied()
        .chain(b"<< /A ".repeat(20_000))
        .collect()]);
    assert!(text(nested).is_err());
    let saved = page(stream("", &b"q ".repeat(200_000)), FONT, &[]);
    assert!(text(saved).is_err());
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let bomb = deflated(&vec![b' '; 80 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    let bomb = page(stream("/Filter /FlateDecode", &bomb), FONT, &[]);
    assert!(matches!(text(bomb), Err(Unreadable::Wrong(why)) if why.contains("compressed")));
}

#[test]
fn a_file_that_ends_calls_is_left_out_until_it_changes() {
    let world = World::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pdf");
    fs::write(&path, fixture("compost.pdf")).unwrap();
    let root = folder.path().to_str().unwrap();
    ingest(&world.ports(), &wanted(root)).unwrap();
    world.index.delete("garden", &[path.to_str().unwrap().to_owned()]).unwrap();
    // What a call leaves behind that ended while this file was being read.
    let digest = blake3::hash(&fs::read(&path).unwrap()).to_hex();
    let note = |endings: u32| meshhost_rag::index::Document {
        key: format!("reading:{}", path.to_str().unwrap()),
        version: format!("{endings} blake3:{digest}"),
        attributes: vec![],
        passages: vec![],
    };
    world.index.upsert("garden", &note(2)).unwrap();
    for _ in 0..2 {
        let done = ingest(&world.ports(), &wanted(root)).unwrap();
        assert_eq!((done.added, done.failed), (0, 1));
        assert!(done.problems[0].reason.contains("ended two calls"), "{:?}", done.problems);
    }
    // Once may have been anybody's fault.
    world.index.upsert("garden", &note(1)).unwrap();
    assert_eq!(ingest(&world.ports(), &wanted(root)).unwrap().added, 1);
    assert_eq!(world.index.keys("garden").len(), 1, "the note is gone");
    world.index.upsert("garden", &note(2)).unwrap();
    fs::write(&path, fixture("columns.pdf")).unwrap();
    assert_eq!(ingest(&world.ports(), &wanted(root)).unwrap().updated, 1);
    // With its file goes the note.
    world.index.upsert("garden", &note(2)).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(ingest(&world.ports(), &wanted(root)).unwrap().removed, 1);
    assert!(world.index.keys("garden").is_empty());
}
