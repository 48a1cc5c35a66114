//! Tokenizers of every other kind, by the crate `tokenizers`: slower to read, so that it is asked
//! only where [`crate::wordpiece`] does not know a file. The only module that names it.

use tokenizers::{Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::Encoding;
use crate::failure::{Failure, shortened};

/// A tokenizer of the crate, and how many tokens of a text it keeps.
#[derive(Debug)]
pub(crate) struct Library {
    tokenizer: Tokenizer,
}

impl Library {
    /// Reads `tokenizer.json`, and gives the token that fills rows up as well. Texts are cut to
    /// `tokens_max` tokens.
    pub(crate) fn read(file: &[u8], tokens_max: Option<usize>) -> Result<(Self, u32), Failure> {
        let mut tokenizer = Tokenizer::from_bytes(file).map_err(unreadable)?;
        let padding = tokenizer.get_padding().map_or(0, |padding| padding.pad_id);
        tokenizer.with_padding(None);
        let truncation = tokens_max.map(|max_length| TruncationParams {
            direction: TruncationDirection::Right,
            max_length,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        });
        tokenizer.with_truncation(truncation).map_err(unreadable)?;
        Ok((Self { tokenizer }, padding))
    }

    /// A text with its marks.
    pub(crate) fn single(&self, text: &str) -> Result<Encoding, Failure> {
        self.encoded(self.tokenizer.encode(text, true))
    }

    /// A pair with its marks.
    pub(crate) fn pair(&self, first: &str, second: &str) -> Result<Encoding, Failure> {
        self.encoded(self.tokenizer.encode((first, second), true))
    }

    fn encoded(
        &self,
        encoding: tokenizers::Result<tokenizers::Encoding>,
    ) -> Result<Encoding, Failure> {
        let encoding = encoding.map_err(|error| {
            Failure::Fault(format!("a text has no tokens: {}", shortened(error)))
        })?;
        Ok(Encoding {
            tokens: encoding.get_ids().to_vec(),
            sides: encoding.get_type_ids().to_vec(),
        })
    }
}

fn unreadable(error: tokenizers::Error) -> Failure {
    Failure::NoModel(format!("the model's tokenizer.json is not understood: {}", shortened(error)))
}
