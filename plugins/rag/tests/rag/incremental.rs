//! Ingesting again: only what has changed, and going on where a call ended.

use std::fs;
use std::path::Path;

use meshhost_rag::ingest::{Wanted, ingest};
use meshhost_rag::retrieval::{Error, Ingested};
use meshhost_rag::{corpora, delete, delete_corpus, documents};
use tempfile::TempDir;

use crate::garden::wanted;
use crate::stand_in::World;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(&folder, name, text);
    }
    folder
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn path(folder: &TempDir) -> String {
    folder.path().to_str().unwrap().to_owned()
}

fn run(world: &World, folder: &TempDir) -> Ingested {
    ingest(&world.ports(), &wanted(&path(folder))).unwrap()
}

fn names(world: &World, folder: &TempDir) -> Vec<String> {
    let root = path(folder);
    let listed = documents(&world.index, "garden", None, None, None).unwrap();
    listed.iter().map(|one| one.path.strip_prefix(&root).unwrap_or(&one.path).to_owned()).collect()
}

/// A text of many passages.
fn book(chapters: usize) -> String {
    let chapter = |number: usize| {
        format!("# Chapter {number}\n\n{}\n\n", format!("word{number} ").repeat(40))
    };
    (0..chapters).map(chapter).collect()
}

#[test]
fn what_has_not_changed_is_not_embedded_again() {
    let world = World::default();
    let folder = folder(&[("a.md", "# A\n\none"), ("b/c.txt", "two"), ("d.txt", "three")]);
    let done = run(&world, &folder);
    assert_eq!((done.added, done.updated, done.unchanged, done.removed), (3, 0, 0, 0));
    let embedded = world.embedder.embedded.get();
    let done = run(&world, &folder);
    assert_eq!((done.added, done.updated, done.unchanged, done.removed), (0, 0, 3, 0));
    assert_eq!((world.embedder.embedded.get(), done.passages), (embedded, 0));

    write(&folder, "a.md", "# A\n\nchanged");
    fs::remove_file(folder.path().join("d.txt")).unwrap();
    let done = run(&world, &folder);
    assert_eq!((done.added, done.updated, done.unchanged, done.removed), (0, 1, 1, 1));
    assert_eq!(world.embedder.embedded.get(), embedded + 1);
    assert_eq!(names(&world, &folder), ["/a.md", "/b/c.txt"]);
}

#[test]
fn the_corpus_is_what_was_chosen_last_and_other_paths_stay() {
    let world = World::default();
    let first = folder(&[("a.md", "one"), ("b.txt", "two")]);
    let second = folder(&[("c.md", "three")]);
    run(&world, &first);
    run(&world, &second);
    let chosen = Wanted { include: Some(vec!["*.md".to_owned()]), ..wanted(&path(&first)) };
    let done = ingest(&world.ports(), &chosen).unwrap();
    assert_eq!((done.unchanged, done.removed), (1, 1));
    assert_eq!(documents(&world.index, "garden", None, None, None).unwrap().len(), 2);
    let one = documents(&world.index, "garden", Some(&path(&second)), None, None).unwrap();
    assert!(one.len() == 1 && one[0].path.ends_with("/c.md"));
}

#[test]
fn what_cannot_be_read_stops_nothing() {
    let world = World::default();
    let folder =
        folder(&[("a.md", "one"), ("b.md", "two"), ("c/d.md", "three"), ("e.pdf", "%PDF-")]);
    run(&world, &folder);
    *world.files.broken.borrow_mut() = vec!["a.md".to_owned(), "c".to_owned()];
    write(&folder, "b.md", "changed");
    let done = run(&world, &folder);
    assert_eq!((done.updated, done.removed, done.failed), (1, 0, 3), "{done:?}");
    // What could not be looked at stays as it was.
    assert_eq!(names(&world, &folder), ["/a.md", "/b.md", "/c/d.md"]);
    let reasons: Vec<_> = done.problems.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons, ["it may not be read", "it may not be read", "it is no PDF, or damaged"]);
}

#[test]
fn a_file_that_is_no_text_any_more_is_gone_from_the_corpus() {
    let world = World::default();
    let folder = folder(&[("a.md", "one"), ("b.md", "two")]);
    run(&world, &folder);
    write(&folder, "a.md", "\0\0");
    fs::write(folder.path().join("b.md"), b"\xff\xff").unwrap();
    let done = run(&world, &folder);
    assert_eq!((done.binary, done.failed), (1, 1));
    assert!(names(&world, &folder).is_empty());
}

#[test]
fn an_ingest_that_was_ended_is_continued() {
    let world = World::default();
    let folder = folder(&[("a.md", &book(700)), ("b.md", "small"), ("c.md", "small too")]);
    // The whole of it, elsewhere, to compare with.
    let whole = World::default();
    run(&whole, &folder);
    let needed = whole.embedder.embedded.get();

    let mut ended = 0;
    loop {
        world.embedder.calls.set(13);
        match ingest(&world.ports(), &wanted(&path(&folder))) {
            Ok(_) => break,
            Err(Error::Busy(text)) => assert!(text.contains("ingest again"), "{text}"),
            Err(error) => panic!("{error:?}"),
        }
        ended += 1;
        assert!(ended < 10, "no progress");
    }
    assert!(ended > 0);
    assert_eq!(world.index.keys("garden"), whole.index.keys("garden"));
    // A part that was under way is embedded twice, what was done is not.
    assert!(world.embedder.embedded.get() <= needed + ended * 256);
    assert_eq!(
        world.index.passages("garden", &path(&folder)),
        whole.index.passages("garden", &path(&folder))
    );
}

#[test]
fn a_long_file_is_one_document_of_many_parts() {
    let world = World::default();
    let folder = folder(&[("a.md", &book(700)), ("a.md.old", "beside")]);
    let done = run(&world, &folder);
    assert_eq!((done.added, done.passages), (2, 701));
    let listed = documents(&world.index, "garden", None, None, None).unwrap();
    assert_eq!(listed.iter().map(|one| one.passages).collect::<Vec<_>>(), [700, 1]);
    let corpus = corpora(&world.index).unwrap().remove(0);
    assert_eq!((corpus.documents, corpus.passages, corpus.model.as_str()), (2, 701, "minilm"));

    write(&folder, "a.md", &book(300));
    let done = run(&world, &folder);
    assert_eq!((done.updated, done.passages), (1, 300));
    assert_eq!(world.index.keys("garden").len(), 3);
    assert_eq!(delete(&world.index, "garden", &format!("{}/a.md", path(&folder))), Ok(1));
    assert_eq!(names(&world, &folder), ["/a.md.old"]);
}

#[test]
fn a_file_of_too_many_passages_is_reported() {
    let world = World::default();
    let folder = folder(&[("a.md", &book(8_193)), ("b.md", "small")]);
    let done = run(&world, &folder);
    assert_eq!((done.added, done.failed), (1, 1));
    assert!(done.problems[0].reason.contains("8193 passages"), "{:?}", done.problems);
    assert_eq!(names(&world, &folder), ["/b.md"]);
}

#[test]
fn another_model_is_an_error_that_says_what_to_do() {
    let world = World::default();
    let folder = folder(&[("a.md", "one")]);
    run(&world, &folder);
    *world.embedder.digest.borrow_mut() = format!("blake3:{}", "2".repeat(64));
    let again = ingest(&world.ports(), &wanted(&path(&folder)));
    assert!(matches!(again, Err(Error::OtherMaker(text)) if text.contains("anew=true")));
    let anew = Wanted { anew: true, ..wanted(&path(&folder)) };
    assert_eq!(ingest(&world.ports(), &anew).unwrap().added, 1);
    assert_eq!(run(&world, &folder).unchanged, 1);
}

#[test]
fn another_way_of_cutting_is_an_error_too() {
    let world = World::default();
    let folder = folder(&[("a.md", "one")]);
    run(&world, &folder);
    let digest = world.embedder.digest.borrow().clone();
    world.index.settle("garden", &format!("meshhost:rag cutting=0 model=minilm digest={digest}"));
    let again = ingest(&world.ports(), &wanted(&path(&folder)));
    assert!(matches!(again, Err(Error::OtherMaker(text)) if text.contains("cut in another way")));
    world.index.settle("garden", "somebody else's");
    let again = ingest(&world.ports(), &wanted(&path(&folder)));
    assert!(matches!(again, Err(Error::OtherMaker(_))));
}

#[test]
fn a_wrong_path_or_model_leaves_nothing_behind() {
    let world = World::default();
    let missing = ingest(&world.ports(), &wanted("/no/such/folder"));
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
    let folder = folder(&[("a.md", "one")]);
    let model = Wanted { model: Some("other".to_owned()), ..wanted(&path(&folder)) };
    assert!(matches!(ingest(&world.ports(), &model), Err(Error::NoModel(_))));
    assert!(corpora(&world.index).unwrap().is_empty());
    // A corpus that cannot be made anew is not dropped.
    run(&world, &folder);
    let anew = Wanted { anew: true, ..model };
    assert!(matches!(ingest(&world.ports(), &anew), Err(Error::NoModel(_))));
    assert_eq!(names(&world, &folder), ["/a.md"]);
}

#[test]
fn files_are_listed_in_pages_and_removed_with_their_folder() {
    let world = World::default();
    let files: Vec<_> = (0..30).map(|number| format!("{}/{number:02}.md", number % 3)).collect();
    let files: Vec<_> = files.iter().map(|name| (name.as_str(), "text")).collect();
    let folder = folder(&files);
    run(&world, &folder);
    let (mut listed, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = documents(&world.index, "garden", None, after.as_deref(), Some(7)).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.path.clone());
        listed.extend(page);
    }
    assert_eq!(listed.len(), 30);
    assert!(listed.is_sorted_by(|a, b| a.path < b.path));
    assert_eq!(delete(&world.index, "garden", &format!("{}/1/", path(&folder))), Ok(10));
    assert_eq!(delete(&world.index, "garden", "/"), Ok(20));
    assert_eq!(delete_corpus(&world.index, "garden"), Ok(true));
    assert_eq!(delete_corpus(&world.index, "garden"), Ok(false));
    let missing = documents(&world.index, "garden", None, None, None);
    assert!(matches!(missing, Err(Error::NotFound(_))));
}

#[test]
fn one_file_can_be_taken_in_alone() {
    let world = World::default();
    let folder = folder(&[("a.md", "one"), ("b.md", "two"), ("empty.md", " \n")]);
    let file = |name: &str| Path::new(&path(&folder)).join(name).to_str().unwrap().to_owned();
    assert_eq!(ingest(&world.ports(), &wanted(&file("a.md"))).unwrap().added, 1);
    assert_eq!(ingest(&world.ports(), &wanted(&file("empty.md"))).unwrap().passages, 0);
    assert_eq!(ingest(&world.ports(), &wanted(&file("empty.md"))).unwrap().unchanged, 1);
    assert_eq!(names(&world, &folder), ["/a.md", "/empty.md"]);
}
