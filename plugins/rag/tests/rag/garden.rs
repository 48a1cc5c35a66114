//! Real files of every kind, taken in as they lie in a folder.

use std::fs;
use std::path::Path;

use meshhost_rag::ingest::{Wanted, ingest};
use meshhost_rag::query::{Asked, query};
use meshhost_rag::retrieval::{Kind, Passage, Place, Span};

use crate::stand_in::World;

pub(crate) fn garden() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rag/files").to_str().unwrap().to_owned()
}

pub(crate) fn wanted(path: &str) -> Wanted {
    Wanted { corpus: "garden".to_owned(), path: path.to_owned(), ..Wanted::default() }
}

pub(crate) fn asked(question: &str) -> Asked {
    Asked { corpus: "garden".to_owned(), question: question.to_owned(), ..Asked::default() }
}

fn lines(first: u32, last: u32) -> Place {
    Place::Lines(Span { first, last })
}

fn pages(first: u32, last: u32) -> Place {
    Place::Pages(Span { first, last })
}

fn best(world: &World, question: &str) -> Passage {
    let answer = query(&world.ports(), &asked(question)).unwrap();
    answer.passages.into_iter().next().unwrap()
}

#[test]
fn every_kind_is_read_and_the_rest_is_reported() {
    let world = World::default();
    let done = ingest(&world.ports(), &wanted(&garden())).unwrap();
    assert_eq!((done.added, done.binary, done.failed), (7, 1, 1), "{done:?}");
    let problem = done.problems.first().unwrap();
    assert!(problem.path.ends_with("/old.txt") && problem.reason.contains("UTF-8"), "{problem:?}");
    assert_eq!(done.passages as usize, world.embedder.embedded.get());

    let listed = meshhost_rag::documents(&world.index, "garden", None, None, None).unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|one| (one.path.strip_prefix(&format!("{}/", garden())).unwrap(), one.kind))
        .collect();
    let expected = [
        ("bees.html", Kind::Html),
        ("columns.pdf", Kind::Pdf),
        ("compost.pdf", Kind::Pdf),
        ("guide.md", Kind::Markdown),
        ("letter.txt", Kind::Text),
        ("log.txt", Kind::Text),
        ("shed/pump.py", Kind::Code),
    ];
    assert_eq!(names, expected);
    let digest = blake3::hash(&fs::read(Path::new(&garden()).join("guide.md")).unwrap());
    assert_eq!(listed[3].digest, format!("blake3:{}", digest.to_hex()));
}

#[test]
fn answers_say_where_they_stand() {
    let world = World::default();
    ingest(&world.ports(), &wanted(&garden())).unwrap();
    for (question, file, place, heading) in [
        (
            "when is the seal of a pump broken that runs dry",
            "guide.md",
            lines(5, 16),
            &["Irrigation guide", "Pump", "Starting"][..],
        ),
        (
            "what catches blight when leaves are wet",
            "guide.md",
            lines(23, 31),
            &["Irrigation guide", "Beds"],
        ),
        ("when does a colony swarm", "bees.html", lines(15, 17), &["Keeping bees", "Swarming"]),
        ("when is summer honey harvested", "bees.html", lines(18, 21), &["Keeping bees", "Honey"]),
        ("which foods attract rats", "compost.pdf", pages(1, 1), &[]),
        ("through which mesh is compost sieved", "compost.pdf", pages(2, 2), &[]),
        ("reifen Süßkirschen im Garten", "columns.pdf", pages(1, 1), &[]),
        ("wo steht die Leiter", "letter.txt", lines(1, 3), &[]),
        ("pressure sensor channel", "shed/pump.py", lines(17, 27), &[]),
        ("how many kilograms of potatoes", "log.txt", lines(1, 6), &[]),
    ] {
        let found = best(&world, question);
        let path = found.path.strip_prefix(&format!("{}/", garden())).unwrap();
        assert_eq!((path, found.place), (file, place), "{question}: {}", found.text);
        assert_eq!(found.heading, heading, "{question}");
    }
}

#[test]
fn the_text_of_an_answer_is_that_of_the_file() {
    let world = World::default();
    ingest(&world.ports(), &wanted(&garden())).unwrap();
    let found = best(&world, "the first frost empties the pump through a screw");
    let Place::Lines(span) = found.place else { panic!("{found:?}") };
    let file = fs::read_to_string(&found.path).unwrap();
    let lines: Vec<_> = file.lines().collect();
    assert_eq!(found.text, lines[span.first as usize - 1..span.last as usize].join("\n"));
    assert!(found.text.starts_with("### Winter\n"));
}

#[test]
fn the_text_of_pdfs_is_put_together() {
    let world = World::default();
    ingest(&world.ports(), &wanted(&garden())).unwrap();
    let text = |name: &str| -> Vec<String> {
        let passages = world.index.passages("garden", &format!("{}/{name}", garden()));
        passages.into_iter().map(|passage| passage.text).collect()
    };
    let compost = text("compost.pdf");
    assert!(
        compost[0]
            .starts_with("compost.pdf\nCompost manual\n\nA heap needs air, water and warmth.")
    );
    assert!(compost.iter().any(|text| text.contains("they attract rats.")), "{compost:?}");
    let columns = text("columns.pdf");
    let columns: Vec<_> = columns.iter().map(|text| text.replace('\n', " ")).collect();
    assert!(
        columns[0].contains("Die Süßkirschen im Café-Garten reifen früh. Ψυχή means soul"),
        "{columns:?}"
    );
    assert!(columns[1].contains("The left column is read first."), "{columns:?}");
    assert!(columns[1].contains("The right column is read after it."), "{columns:?}");
}
