//! What the interface and the core call the same, from one to the other.

use meshhost_core::index as core;

use super::bindings::meshhost::index::store;

pub(super) fn settings(settings: store::Settings) -> core::Settings {
    core::Settings { dimensions: settings.dimensions, maker: settings.maker }
}

pub(super) fn corpus(corpus: core::Corpus) -> store::Corpus {
    let core::Corpus { name, settings, documents, passages, bytes } = corpus;
    let settings = store::Settings { dimensions: settings.dimensions, maker: settings.maker };
    store::Corpus { name, settings, documents, passages, bytes }
}

fn read(attributes: Vec<store::Attribute>) -> Vec<core::Attribute> {
    let read = |one: store::Attribute| core::Attribute { name: one.name, value: one.value };
    attributes.into_iter().map(read).collect()
}

fn shown(attributes: Vec<core::Attribute>) -> Vec<store::Attribute> {
    let shown = |one: core::Attribute| store::Attribute { name: one.name, value: one.value };
    attributes.into_iter().map(shown).collect()
}

pub(super) fn document(document: store::Document) -> core::Document {
    let passage = |passage: store::Passage| core::Passage {
        text: passage.text,
        vector: passage.vector,
        attributes: read(passage.attributes),
    };
    core::Document {
        key: document.key,
        version: document.version,
        attributes: read(document.attributes),
        passages: document.passages.into_iter().map(passage).collect(),
    }
}

pub(super) fn filter(filter: store::Filter) -> core::Filter {
    core::Filter { key_prefix: filter.key_prefix, attributes: read(filter.attributes) }
}

pub(super) fn entry(entry: core::Entry) -> store::Entry {
    let core::Entry { key, version, attributes, passages } = entry;
    store::Entry { key, version, attributes: shown(attributes), passages }
}

pub(super) fn hit(hit: core::Hit) -> store::Hit {
    store::Hit {
        key: hit.key,
        version: hit.version,
        passage: hit.passage,
        text: hit.text,
        document_attributes: shown(hit.document_attributes),
        attributes: shown(hit.attributes),
        score: hit.score,
    }
}

/// Bytes that texts take on the host.
pub(super) fn texts_bytes(texts: &[String]) -> u64 {
    texts.iter().map(|text| (text.len() + size_of::<String>()) as u64).sum()
}

fn attributes_bytes(attributes: &[store::Attribute]) -> u64 {
    let bytes = |one: &store::Attribute| one.name.len() + one.value.len() + size_of_val(one);
    attributes.iter().map(|one| bytes(one) as u64).sum()
}

/// Bytes that a document takes on the host.
pub(super) fn document_bytes(document: &store::Document) -> u64 {
    let passages = document.passages.iter().map(|passage| {
        let vector = passage.vector.as_ref().map_or(0, |vector| vector.len() * 4);
        let own = passage.text.len() + vector + size_of_val(passage);
        own as u64 + attributes_bytes(&passage.attributes)
    });
    let own = (document.key.len() + document.version.len()) as u64;
    own + attributes_bytes(&document.attributes) + passages.sum::<u64>()
}

/// Bytes that an entry takes on the host.
pub(super) fn entry_bytes(entry: &store::Entry) -> u64 {
    let own = entry.key.len() + entry.version.len() + size_of_val(entry);
    own as u64 + attributes_bytes(&entry.attributes)
}

/// Bytes that a hit takes on the host.
pub(super) fn hit_bytes(hit: &store::Hit) -> u64 {
    let own = hit.key.len() + hit.version.len() + hit.text.len() + size_of_val(hit);
    own as u64 + attributes_bytes(&hit.document_attributes) + attributes_bytes(&hit.attributes)
}
