//! Sentences in batches: those of like length together, as many as a run has room for.

use crate::decoder::{Models, RowBytes, Run};
use crate::failure::Failure;
use crate::search::{Decoded, Search};
use crate::settings::Settings;
use crate::wanted::Wanted;

/// Bytes that cross to the node and back in one run: what the host holds for it is bounded.
pub(crate) const RUN_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Rows of a run: more keep no machine busier.
const ROWS_MAX: usize = 64;
/// Steps of a beam in one call.
pub(crate) const STEPS_MAX: usize = 100_000;
/// The shortest translation that a run must have room for, in tokens.
const LENGTH_LEAST: usize = 8;

/// A sentence to be decoded.
#[derive(Debug, Clone)]
pub(crate) struct Sentence {
    /// Its tokens, as the encoder takes them.
    pub(crate) ids: Vec<u32>,
    /// What its translation has to hold.
    pub(crate) wanted: Wanted,
}

/// What is left of a call's steps.
#[derive(Debug, Clone)]
pub(crate) struct Steps(usize);

impl Steps {
    /// All of them.
    pub(crate) fn new() -> Self {
        Self(STEPS_MAX)
    }

    fn spend(&mut self, rows: usize) -> Result<(), Failure> {
        self.0 = self.0.checked_sub(rows).ok_or_else(|| {
            Failure::TooLarge(format!(
                "the texts take more than {STEPS_MAX} steps of a beam: give fewer at once, or take fewer beams"
            ))
        })?;
        Ok(())
    }
}

/// Decodes sentences; there is one answer for each, in their order, and nothing for one without a
/// translation that holds what is wanted.
pub(crate) fn decode(
    models: &Models,
    sentences: &[Sentence],
    settings: &Settings,
    steps: &mut Steps,
) -> Result<Vec<Option<Decoded>>, Failure> {
    let row = RowBytes::of(models);
    let mut order: Vec<_> = sentences.iter().enumerate().collect();
    order.sort_by_key(|(_, sentence)| sentence.ids.len());
    let mut found = vec![None; sentences.len()];
    let mut rest = order.as_slice();
    while let Some((count, length)) = next_group(rest, settings, row)? {
        let (group, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        rest = later;
        let settings = Settings { length_max: length, ..settings.clone() };
        let decoded = together(models, group, &settings, steps)?;
        for ((number, _), decoded) in group.iter().zip(decoded) {
            if let Some(place) = found.get_mut(*number) {
                *place = decoded;
            }
        }
    }
    Ok(found)
}

/// How many of the sentences, which become longer, fit into a run, and how long their translations
/// may become there.
fn next_group(
    sentences: &[(usize, &Sentence)],
    settings: &Settings,
    row: RowBytes,
) -> Result<Option<(usize, usize)>, Failure> {
    let mut group = None;
    for (place, (_, sentence)) in sentences.iter().enumerate() {
        let (rows, source) = ((place + 1) * settings.beams, sentence.ids.len());
        // A translation is seldom twice as long; it may be where there is room.
        let likely = settings.length_max.min(2 * source + LENGTH_LEAST);
        if place > 0 && (rows > ROWS_MAX || row.bytes(rows, source, likely) > RUN_BYTES_MAX) {
            break;
        }
        let room = RUN_BYTES_MAX.saturating_sub(row.bytes(rows, source, 0));
        let length = room.checked_div(row.target.saturating_mul(rows)).unwrap_or(usize::MAX);
        if length < LENGTH_LEAST {
            let text = "a sentence does not fit into one run of this model: take fewer beams";
            return Err(Failure::TooLarge(text.to_owned()));
        }
        group = Some((place + 1, length.min(settings.length_max)));
    }
    Ok(group)
}

fn together(
    models: &Models,
    group: &[(usize, &Sentence)],
    settings: &Settings,
    steps: &mut Steps,
) -> Result<Vec<Option<Decoded>>, Failure> {
    let ids: Vec<_> = group.iter().map(|(_, sentence)| sentence.ids.as_slice()).collect();
    let mut run = Run::begin(models, &ids, settings.pad)?;
    let wanted = group.iter().map(|(_, sentence)| sentence.wanted.clone());
    let mut searches: Vec<_> = wanted.map(|wanted| Search::new(settings, wanted)).collect();
    loop {
        let open = searches.iter().filter(|search| !search.is_done()).flat_map(Search::open);
        let tokens: Vec<_> = open.filter_map(|open| open.tokens.last().copied()).collect();
        if tokens.is_empty() {
            return Ok(searches.into_iter().map(Search::best).collect());
        }
        steps.spend(tokens.len())?;
        let logits = run.step(&tokens)?;
        let (rows, owners) = advance(&mut searches, logits);
        if !rows.is_empty() {
            run.select(&rows, owners)?;
        }
    }
}

/// Takes one step of every sentence that is not done. Says which rows go on, and whose they are.
fn advance(searches: &mut [Search<'_>], logits: Vec<Vec<f32>>) -> (Vec<usize>, Vec<usize>) {
    let (mut rows, mut owners, mut first) = (Vec::new(), Vec::new(), 0);
    let mut logits = logits.into_iter();
    for (number, search) in searches.iter_mut().enumerate() {
        if search.is_done() {
            continue;
        }
        let count = search.open().len();
        search.step(logits.by_ref().take(count).collect());
        if !search.is_done() {
            rows.extend(search.open().iter().map(|open| first + open.parent));
            owners.extend(search.open().iter().map(|_| number));
        }
        first += count;
    }
    (rows, owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: RowBytes = RowBytes { source: 1_000, target: 2_000, fixed: 0 };

    fn group(lengths: &[usize], settings: &Settings, row: RowBytes) -> Option<(usize, usize)> {
        let sentences: Vec<_> = lengths
            .iter()
            .map(|length| Sentence { ids: vec![0; *length], wanted: Wanted::default() })
            .collect();
        let order: Vec<_> = sentences.iter().enumerate().collect();
        next_group(&order, settings, row).unwrap()
    }

    #[test]
    fn a_run_has_as_many_sentences_as_it_has_room_for() {
        let settings = Settings { beams: 4, length_max: 512, ..Settings::default() };
        assert_eq!(group(&[], &settings, ROW), None);
        assert_eq!(group(&[10; 100], &settings, ROW), Some((16, 388)));
        let heavy = RowBytes { source: 100_000, target: 200_000, fixed: 1_000_000 };
        assert_eq!(group(&[10, 10, 10], &settings, heavy), Some((1, 52)));
        assert_eq!(
            group(&[10, 400], &Settings { beams: 1, ..settings.clone() }, ROW),
            Some((2, 512))
        );
        let none = Sentence { ids: vec![0; 100], wanted: Wanted::default() };
        let vast = RowBytes { source: 10_000_000, ..heavy };
        assert!(matches!(next_group(&[(0, &none)], &settings, vast), Err(Failure::TooLarge(_))));
    }

    #[test]
    fn steps_end() {
        let mut steps = Steps::new();
        steps.spend(STEPS_MAX).unwrap();
        assert!(matches!(steps.spend(1), Err(Failure::TooLarge(_))));
    }
}
