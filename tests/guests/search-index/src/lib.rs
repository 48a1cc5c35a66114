//! Uses the index as its tests ask, and abuses it.

mod hostile;

meshhost_sdk::plugin!({
    path: ["../../../wit/index/0.1.0", "wit"],
    world: "fixture:search/provider",
    generate_all,
});

use bindings::meshhost::index::store::{
    self, Document, Error, ErrorCode, Filter, Hit, Passage, Settings,
};

/// Documents that `churn` has.
const KEYS: u32 = 7;
/// Most passages of one of them.
const PASSAGES: u32 = 40;

struct Search;

export!(Search with_types_in bindings);

/// The word for what went wrong.
fn word(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Denied => "denied",
        ErrorCode::NotFound => "not-found",
        ErrorCode::Invalid => "invalid",
        ErrorCode::TooLarge => "too-large",
        ErrorCode::Quota => "quota",
        ErrorCode::Fault => "fault",
    }
}

fn told(error: Error) -> String {
    format!("{}: {}", word(error.code), error.message)
}

fn all() -> Filter {
    Filter { key_prefix: None, attributes: Vec::new() }
}

fn passage(text: &str, vector: &[f32]) -> Passage {
    Passage {
        text: text.to_owned(),
        vector: (!vector.is_empty()).then(|| vector.to_vec()),
        attributes: Vec::new(),
    }
}

fn document(key: &str, version: &str, passages: Vec<Passage>) -> Document {
    Document { key: key.to_owned(), version: version.to_owned(), attributes: Vec::new(), passages }
}

fn keys(hits: Vec<Hit>) -> Vec<String> {
    hits.into_iter().map(|hit| hit.key).collect()
}

fn of_version(hits: &[Hit], version: &str, count: u32) -> bool {
    let mut places: Vec<u32> = hits.iter().map(|hit| hit.passage).collect();
    places.sort_unstable();
    places.into_iter().eq(0..count) && hits.iter().all(|hit| hit.version == version)
}

impl bindings::Guest for Search {
    fn open(corpus: String, dimensions: Option<u32>) -> Result<Option<u32>, String> {
        let settings = Settings { dimensions, maker: "test".to_owned() };
        let opened = store::open(&corpus, &settings).map_err(told)?;
        Ok(opened.settings.dimensions)
    }

    fn corpora() -> Result<Vec<String>, String> {
        let corpora = store::corpora().map_err(told)?;
        Ok(corpora.into_iter().map(|corpus| corpus.name).collect())
    }

    fn remove(corpus: String) -> Result<bool, String> {
        store::drop(&corpus).map_err(told)
    }

    fn put(
        corpus: String,
        key: String,
        text: String,
        vector: Vec<f32>,
        passages: u32,
    ) -> Result<(), String> {
        let passages = (0..passages).map(|_| passage(&text, &vector)).collect();
        store::upsert(&corpus, &document(&key, "1", passages)).map_err(told)
    }

    fn delete(corpus: String, key: String) -> Result<u32, String> {
        store::delete(&corpus, &[key]).map_err(told)
    }

    fn near(
        corpus: String,
        vector: Vec<f32>,
        prefix: Option<String>,
        limit: u32,
    ) -> Result<Vec<String>, String> {
        let filter = Filter { key_prefix: prefix, attributes: Vec::new() };
        store::search_vector(&corpus, &vector, &filter, limit).map(keys).map_err(told)
    }

    fn find(corpus: String, text: String, limit: u32) -> Result<Vec<String>, String> {
        store::search_words(&corpus, &text, &all(), limit).map(keys).map_err(told)
    }

    fn churn(corpus: String, first: u32, count: u32) -> Result<(), String> {
        for number in first..first + count {
            let key = format!("k{}", number % KEYS);
            let text = |place| format!("unique{key} passage {place} of version {number}");
            let passages = (0..1 + number % PASSAGES)
                .map(|place| passage(&text(place), &[1.0, 0.01 * place as f32]))
                .collect();
            let document = document(&key, &number.to_string(), passages);
            store::upsert(&corpus, &document).map_err(told)?;
        }
        Ok(())
    }

    fn verify(corpus: String) -> Result<Vec<String>, String> {
        let mut seen = Vec::new();
        for entry in store::documents(&corpus, None, 1_024).map_err(told)? {
            let (key, version) = (&entry.key, &entry.version);
            let number: u32 = version.parse().map_err(|_| format!("{key}: {version}"))?;
            let filter = Filter { key_prefix: Some(key.clone()), attributes: Vec::new() };
            let near = store::search_vector(&corpus, &[1.0, 0.0], &filter, 256).map_err(told)?;
            let found =
                store::search_words(&corpus, &format!("unique{key}"), &all(), 256).map_err(told)?;
            let count = entry.passages;
            let whole = count == 1 + number % PASSAGES
                && of_version(&near, version, count)
                && of_version(&found, version, count);
            if !whole {
                let (near, found) = (near.len(), found.len());
                return Err(format!(
                    "{key} {version}: {count} passages, {near} near, {found} found"
                ));
            }
            seen.push(format!("{key} {version}"));
        }
        Ok(seen)
    }

    fn hoard(corpus: String) {
        for number in 0_u64.. {
            let passages = vec![passage(&"x".repeat(1_000), &[])];
            let document = document(&number.to_string(), "", passages);
            store::upsert(&corpus, &document).expect("there is room");
        }
    }

    fn hostile(corpus: String) -> Vec<String> {
        hostile::refusals(&corpus)
    }
}
