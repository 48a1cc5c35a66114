//! What must be refused.

use crate::bindings::meshhost::index::store::{self, Attribute, Error, Filter, Settings};
use crate::{all, document, passage, word};

/// What was tried and how it was refused; `allowed` where it was not.
pub(crate) fn refusals(corpus: &str) -> Vec<String> {
    let mut said = Vec::new();
    names(&mut said);
    vectors(corpus, &mut said);
    floods(corpus, &mut said);
    said
}

fn say<T>(said: &mut Vec<String>, what: &str, answer: Result<T, Error>) {
    let answer = answer.err().map_or("allowed", |error| word(error.code));
    said.push(format!("{what}: {answer}"));
}

fn names(said: &mut Vec<String>) {
    let settings = Settings { dimensions: None, maker: String::new() };
    for name in ["../other", "/etc/passwd", "", "a/b", "A", "a\0b", &"a".repeat(65)] {
        say(said, "name", store::open(name, &settings));
        say(said, "name", store::drop(name));
        say(said, "name", store::search_words(name, "a", &all(), 1));
    }
    for dimensions in [0, 4_097, u32::MAX] {
        let settings = Settings { dimensions: Some(dimensions), maker: String::new() };
        say(said, "dimensions", store::open("wide", &settings));
    }
}

fn vectors(corpus: &str, said: &mut Vec<String>) {
    let wrong: [&[f32]; 6] = [
        &[f32::NAN, 1.0],
        &[f32::INFINITY, 1.0],
        &[0.0, -0.0],
        &[1.0],
        &[1.0, 2.0, 3.0],
        &[1.0; 5_000],
    ];
    for vector in wrong {
        let one = document("bad", "", vec![passage("bad", vector)]);
        say(said, "vector", store::upsert(corpus, &one));
        say(said, "vector", store::search_vector(corpus, vector, &all(), 1));
    }
    say(said, "vector", store::search_vector(corpus, &[], &all(), 1));
}

fn floods(corpus: &str, said: &mut Vec<String>) {
    let attribute = Attribute { name: "n".to_owned(), value: "v".to_owned() };
    let filter = Filter { key_prefix: None, attributes: vec![attribute.clone(); 10_000] };
    say(said, "filter", store::search_vector(corpus, &[1.0, 0.0], &filter, 1));
    let filter = Filter { key_prefix: Some("k".repeat(100_000)), attributes: Vec::new() };
    say(said, "filter", store::search_words(corpus, "a", &filter, 1));
    say(said, "limit", store::search_vector(corpus, &[1.0, 0.0], &all(), 0));
    say(said, "large", store::search_vector(corpus, &[1.0, 0.0], &all(), u32::MAX));
    say(said, "large", store::search_words(corpus, &"word ".repeat(1_000), &all(), 1));
    let many: String = (0..65).map(|number| format!("w{number} ")).collect();
    say(said, "large", store::search_words(corpus, &many, &all(), 1));
    say(said, "large", store::documents(corpus, None, 1_025));
    say(said, "large", store::get(corpus, &vec!["k".to_owned(); 2_000]));
    say(said, "large", store::delete(corpus, &vec!["k".to_owned(); 2_000]));
    let put = |said: &mut Vec<String>, passages| {
        say(said, "large", store::upsert(corpus, &document("bad", "", passages)));
    };
    put(said, vec![passage(&"x".repeat(64 * 1024 + 1), &[])]);
    put(said, (0..1_025).map(|_| passage("", &[])).collect());
    put(said, (0..140).map(|_| passage(&"x".repeat(64 * 1024), &[])).collect());
    let mut one = document("bad", "", vec![passage("bad", &[])]);
    one.attributes = vec![attribute; 17];
    say(said, "large", store::upsert(corpus, &one));
    one.attributes.clear();
    one.version = "v".repeat(129);
    say(said, "large", store::upsert(corpus, &one));
}
