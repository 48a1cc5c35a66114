//! What a guest may say to the index. Lengths are compared before anything is looked through.

use super::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_MAX, Attribute,
    CORPUS_NAME_BYTES_MAX, DIMENSIONS_MAX, DOCUMENT_BYTES_MAX, Document, FILTER_ATTRIBUTES_MAX,
    Filter, IndexError, IndexErrorCode, KEY_BYTES_MAX, KEYS_MAX, MAKER_BYTES_MAX, PASSAGES_MAX,
    Settings, TEXT_BYTES_MAX, VERSION_BYTES_MAX,
};

fn invalid(message: &str) -> IndexError {
    IndexError::new(IndexErrorCode::Invalid, message)
}

fn too_large(message: &str) -> IndexError {
    IndexError::new(IndexErrorCode::TooLarge, message)
}

/// Whether this names a corpus: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`, a letter or digit first.
///
/// # Errors
/// When it does not.
pub fn check_name(name: &str) -> Result<(), IndexError> {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let first = name.as_bytes().first().is_some_and(plain);
    let allowed = name.len() <= CORPUS_NAME_BYTES_MAX
        && name.bytes().all(|byte| plain(&byte) || matches!(byte, b'-' | b'_' | b'.'));
    if first && allowed {
        return Ok(());
    }
    Err(invalid(
        "a corpus has a name of 1 to 64 of a-z, 0-9, -, _ and ., with a letter or digit first",
    ))
}

impl Settings {
    /// Whether a corpus can be made so.
    ///
    /// # Errors
    /// When there are too few or too many dimensions, or the maker's words are too long.
    pub fn check(&self) -> Result<(), IndexError> {
        if self.dimensions.is_some_and(|count| !(1..=DIMENSIONS_MAX).contains(&count)) {
            return Err(invalid("a vector has 1 to 4096 dimensions"));
        }
        if self.maker.len() > MAKER_BYTES_MAX {
            return Err(too_large("a corpus's maker has at most 256 bytes"));
        }
        Ok(())
    }
}

fn check_key(key: &str) -> Result<(), IndexError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(invalid("a document's key has 1 to 1024 bytes"));
    }
    Ok(())
}

/// Whether these are keys of documents, and not too many.
///
/// # Errors
/// When one is empty or too long, or there are more than [`KEYS_MAX`].
pub fn check_keys(keys: &[String]) -> Result<(), IndexError> {
    if keys.len() > KEYS_MAX {
        return Err(too_large("at most 1024 keys are taken at once"));
    }
    keys.iter().try_for_each(|key| check_key(key))
}

/// Whether so many may be asked for: 1 to `most`.
///
/// # Errors
/// When none or too many are.
pub fn check_limit(limit: u32, most: u32) -> Result<(), IndexError> {
    match limit {
        0 => Err(invalid("the limit is 0; ask for 1 or more")),
        _ if limit > most => Err(too_large(&format!("at most {most} are given at once"))),
        _ => Ok(()),
    }
}

fn check_attributes(attributes: &[Attribute]) -> Result<(), IndexError> {
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(too_large("a document and a passage have at most 16 attributes each"));
    }
    attributes.iter().try_for_each(check_attribute)
}

fn check_attribute(attribute: &Attribute) -> Result<(), IndexError> {
    if attribute.name.len() > ATTRIBUTE_NAME_BYTES_MAX
        || attribute.value.len() > ATTRIBUTE_VALUE_BYTES_MAX
    {
        return Err(too_large("an attribute has a name of 64 and a value of 1024 bytes at most"));
    }
    Ok(())
}

/// Whether this is a vector to compare: as many finite numbers as `dimensions`, not all zero.
///
/// # Errors
/// When it is not. Without dimensions nothing is one.
pub fn check_vector(vector: &[f32], dimensions: Option<u32>) -> Result<(), IndexError> {
    let Some(dimensions) = dimensions else {
        return Err(invalid("the corpus has no dimensions, so it takes no vectors"));
    };
    if vector.len() != usize::try_from(dimensions).unwrap_or(usize::MAX) {
        let message = format!("the vector has {} numbers, the corpus {dimensions}", vector.len());
        return Err(invalid(&message));
    }
    check_numbers(vector)
}

fn check_numbers(vector: &[f32]) -> Result<(), IndexError> {
    if !vector.iter().all(|number| number.is_finite()) {
        return Err(invalid("a vector has numbers that are not finite"));
    }
    if vector.iter().all(|number| *number == 0.0) {
        return Err(invalid("a vector has nothing but zeros, so it has no direction"));
    }
    Ok(())
}

impl Document {
    /// Whether a corpus takes it, as far as that does not depend on the corpus.
    ///
    /// # Errors
    /// When something of it is missing, too long, too many or no number.
    pub fn check(&self) -> Result<(), IndexError> {
        check_key(&self.key)?;
        if self.version.len() > VERSION_BYTES_MAX {
            return Err(too_large("a document's version has at most 128 bytes"));
        }
        if self.passages.len() > PASSAGES_MAX {
            return Err(too_large("a document has at most 1024 passages; split it"));
        }
        check_attributes(&self.attributes)?;
        if self.bytes() > DOCUMENT_BYTES_MAX {
            return Err(too_large("a document has at most 8 MiB of texts, vectors and attributes"));
        }
        for passage in &self.passages {
            if passage.text.len() > TEXT_BYTES_MAX {
                return Err(too_large("a passage has at most 64 KiB of text"));
            }
            check_attributes(&passage.attributes)?;
            passage.vector.as_deref().map_or(Ok(()), check_numbers)?;
        }
        Ok(())
    }
}

impl Filter {
    /// Whether this filters.
    ///
    /// # Errors
    /// When it says more than a filter may.
    pub fn check(&self) -> Result<(), IndexError> {
        if self.attributes.len() > FILTER_ATTRIBUTES_MAX {
            return Err(invalid("a filter has at most 8 attributes"));
        }
        if self.key_prefix.as_ref().is_some_and(|prefix| prefix.len() > KEY_BYTES_MAX) {
            return Err(invalid("a filter's key prefix has at most 1024 bytes"));
        }
        self.attributes.iter().try_for_each(check_attribute)
    }
}
