//! What may come next: the logarithms of the model's likelihoods, after the rules of its
//! `generation_config.json`. The rules and their order are those of Python's `transformers`.

use crate::settings::Settings;
use crate::tensors::long;

/// What cannot come next.
const NEVER: f32 = f32::NEG_INFINITY;

/// The logarithm of each token's likelihood after `tokens`, from what the model says.
pub(crate) fn next(mut scores: Vec<f32>, tokens: &[u32], settings: &Settings) -> Vec<f32> {
    // Once is enough: the rules only take scores away or leave one alone.
    if !settings.renormalise {
        normalise(&mut scores);
    }
    forbid_repeats(&mut scores, tokens, settings.no_repeat);
    forbid_words(&mut scores, tokens, settings);
    // The first token is the one that decoding starts with.
    if tokens.len() == 1
        && let Some(first) = settings.forced_first
    {
        force(&mut scores, &[first]);
    }
    if tokens.len() + 1 == settings.length_max {
        force(&mut scores, &settings.forced_last);
    }
    if settings.renormalise {
        normalise(&mut scores);
    }
    scores
}

/// Makes likelihoods that add up to 1.
fn normalise(scores: &mut [f32]) {
    let top = scores.iter().copied().fold(NEVER, f32::max);
    if top == NEVER {
        return;
    }
    let sum: f32 = scores.iter().map(|score| power(score - top)).sum();
    let total = top + sum.ln();
    scores.iter_mut().for_each(|score| *score -= total);
}

/// `e` to a power of at most 0, within a hundred-thousandth of it, and 0 where that is less than 10^-13. A
/// vocabulary has tens of thousands of tokens: it is what a step of decoding costs most.
fn power(exponent: f32) -> f32 {
    const LEAST: f32 = -30.0;
    // What is no number comes to 0, too.
    if exponent.is_nan() || exponent <= LEAST {
        return 0.0;
    }
    let twos = exponent * std::f32::consts::LOG2_E;
    let whole = twos.floor();
    let rest = (twos - whole) * std::f32::consts::LN_2;
    // The series of e^x up to x^7: the rest is below 0.7.
    let series = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let fraction = series.iter().fold(0.0, |sum, factor| sum * rest + factor);
    fraction * two_to(whole)
}

/// Two to a whole power between -44 and 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
fn two_to(whole: f32) -> f32 {
    f32::from_bits(((whole + 127.0) as u32) << 23)
}

/// No sequence of `length` tokens comes twice.
fn forbid_repeats(scores: &mut [f32], tokens: &[u32], length: usize) {
    let Some(before) = length.checked_sub(1) else { return };
    let Some(begin) = tokens.len().checked_sub(before) else { return };
    let end = tokens.get(begin..).unwrap_or_default();
    for window in tokens.windows(length) {
        if let Some((last, first)) = window.split_last()
            && first == end
        {
            set(scores, *last, NEVER);
        }
    }
}

fn forbid_words(scores: &mut [f32], tokens: &[u32], settings: &Settings) {
    for word in &settings.bad_words {
        if let Some((last, first)) = word.split_last()
            && tokens.ends_with(first)
            && (!first.is_empty() || !settings.ends.contains(last))
        {
            set(scores, *last, NEVER);
        }
    }
}

/// Nothing else may come than these, where there are any.
fn force(scores: &mut [f32], wanted: &[u32]) {
    if !wanted.is_empty() {
        scores.fill(NEVER);
        wanted.iter().for_each(|token| set(scores, *token, 0.0));
    }
}

/// Changes one score. A token beyond the vocabulary has none.
pub(crate) fn set(scores: &mut [f32], token: u32, score: f32) {
    if let Some(place) = scores.get_mut(long(token)) {
        *place = score;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { length_max: 10, ..Settings::default() }
    }

    fn allowed(tokens: &[u32], settings: &Settings) -> Vec<usize> {
        let scores = next(vec![0.5; 6], tokens, settings);
        (0..6).filter(|place| scores[*place] != NEVER).collect()
    }

    #[test]
    fn likelihoods_add_up_to_one() {
        let scores = next(vec![1.0, 2.0, 3.0], &[0], &settings());
        let sum: f32 = scores.iter().map(|score| score.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert!((scores[2] - scores[1] - 1.0).abs() < 1e-6);
        assert_eq!(next(vec![NEVER; 2], &[0], &settings()), [NEVER; 2]);
    }

    #[test]
    fn powers_are_those_of_the_library() {
        for step in 0..30_000_u16 {
            let exponent = f32::from(step) / -1000.0;
            let difference = (power(exponent) - exponent.exp()).abs();
            assert!(difference <= 1e-5 * exponent.exp(), "{exponent}");
        }
        assert_eq!(power(0.0), 1.0);
        for exponent in [-30.0, -1e9, NEVER, f32::NAN] {
            assert_eq!(power(exponent), 0.0);
        }
    }

    #[test]
    fn no_sequence_comes_twice() {
        let twice = Settings { no_repeat: 2, ..settings() };
        assert_eq!(allowed(&[1, 2, 3, 1], &twice), [0, 1, 3, 4, 5]);
        assert_eq!(allowed(&[1], &twice), [0, 1, 2, 3, 4, 5]);
        let once = Settings { no_repeat: 1, ..settings() };
        assert_eq!(allowed(&[1, 3], &once), [0, 2, 4, 5]);
        assert_eq!(allowed(&[1, 3, 1], &settings()).len(), 6);
    }

    #[test]
    fn bad_words_are_single_tokens_or_the_last_of_several() {
        let words = vec![vec![4], vec![1, 2, 3], vec![0], vec![], vec![99]];
        let bad = Settings { bad_words: words, ends: vec![0], ..settings() };
        assert_eq!(allowed(&[5, 1, 2], &bad), [0, 1, 2, 5]);
        assert_eq!(allowed(&[2, 1], &bad), [0, 1, 2, 3, 5]);
    }

    #[test]
    fn the_first_and_the_last_token_are_forced() {
        let forced = Settings { forced_first: Some(3), forced_last: vec![0, 5], ..settings() };
        assert_eq!(allowed(&[2], &forced), [3]);
        assert_eq!(allowed(&[2, 3], &forced).len(), 6);
        assert_eq!(allowed(&[2; 9], &forced), [0, 5]);
    }

    #[test]
    fn what_was_forbidden_leaves_its_share_to_the_others() {
        let rules = Settings { bad_words: vec![vec![1]], renormalise: true, ..settings() };
        let scores = next(vec![0.0; 5], &[0], &rules);
        assert!((scores[0].exp() - 0.25).abs() < 1e-6 && scores[1] == NEVER);
    }
}
