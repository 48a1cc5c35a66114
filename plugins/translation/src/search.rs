//! The search for one sentence's translation: several are followed at once, the best finished one
//! wins. With one beam it is the likeliest token each time. The rules are those of `transformers`.

use crate::choice::{self, Candidate};
use crate::scores;
use crate::settings::{Settings, Stopping};
use crate::wanted::Wanted;

/// A translation that goes on.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// What it says so far, with the token that decoding starts with.
    pub(crate) tokens: Vec<u32>,
    /// Sum of the logarithms of its tokens' likelihoods.
    pub(crate) score: f32,
    /// Which of the translations before the last step it continues.
    pub(crate) parent: usize,
    /// How much of each wanted sequence stands there.
    pub(crate) progress: Vec<usize>,
}

/// A translation that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Its tokens, without those that start and end it.
    pub tokens: Vec<u32>,
    /// Sum of the logarithms of its tokens' likelihoods, divided by the length to the penalty's power.
    pub score: f32,
    /// Whether it ended because it reached the greatest length.
    pub cut: bool,
}

/// The search for one sentence.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    settings: &'a Settings,
    wanted: Wanted,
    open: Vec<Open>,
    finished: Vec<Decoded>,
    done: bool,
}

impl<'a> Search<'a> {
    /// Before the first token. Every translation will hold what is wanted.
    pub(crate) fn new(settings: &'a Settings, wanted: Wanted) -> Self {
        let tokens = vec![settings.start];
        let first = Open { tokens, score: 0.0, parent: 0, progress: wanted.begin() };
        Self { settings, wanted, open: vec![first], finished: Vec::new(), done: false }
    }

    /// The translations whose next token is asked for.
    pub(crate) fn open(&self) -> &[Open] {
        &self.open
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// The best one; nothing where no translation holds what is wanted.
    pub(crate) fn best(self) -> Option<Decoded> {
        self.finished.into_iter().next()
    }

    /// Goes on by one token. `logits` has a row for each open translation.
    pub(crate) fn step(&mut self, logits: Vec<Vec<f32>>) {
        let rows = self.open.iter().zip(logits);
        let mut rows: Vec<_> =
            rows.map(|(open, row)| scores::next(row, &open.tokens, self.settings)).collect();
        if !self.wanted.is_empty() {
            self.forbid_early_ends(&mut rows);
            for (open, row) in self.open.iter().zip(&mut rows) {
                let joining = self.wanted.joining(&open.tokens, &open.progress);
                joining.iter().for_each(|token| scores::set(row, *token, f32::NEG_INFINITY));
            }
        }
        let mut candidates = choice::best(&self.open, &rows, self.candidates());
        if !self.wanted.is_empty() {
            choice::add_wanted(&mut candidates, &self.open, &rows, &self.wanted);
        }
        self.take(&candidates);
        self.done = self.open.is_empty() || self.is_settled();
    }

    /// What lacks something wanted does not end. Where it would, it goes on only when all others would as
    /// well: what was said is complete without the words, and with them behind it would be wrong.
    fn forbid_early_ends(&self, rows: &mut [Vec<f32>]) {
        let lacking = |open: &Open| !self.wanted.is_met(&open.progress);
        let would_end = |open: &Open, row: &[f32]| {
            let ends = choice::likeliest(row).is_some_and(|token| self.is_end(token));
            lacking(open) && ends && !self.wanted.is_begun(&open.progress)
        };
        let over: Vec<_> =
            self.open.iter().zip(rows.iter()).map(|(open, row)| would_end(open, row)).collect();
        let all = over.iter().all(|over| *over);
        for ((open, row), over) in self.open.iter().zip(rows).zip(over) {
            if over && !all {
                row.fill(f32::NEG_INFINITY);
            } else if lacking(open) {
                self.settings.ends.iter().for_each(|end| scores::set(row, *end, f32::NEG_INFINITY));
            }
        }
    }

    /// So many that enough go on when the best ones end.
    fn candidates(&self) -> usize {
        let ends = self.settings.ends.len();
        if self.settings.beams == 1 { 1 } else { self.settings.beams * (ends + 1).max(2) }
    }

    fn take(&mut self, candidates: &[Candidate]) {
        let beams = self.settings.beams;
        let mut going = Vec::new();
        for (place, candidate) in candidates.iter().enumerate() {
            let Some(longer) = self.longer(candidate) else { continue };
            if self.is_end(candidate.token) || longer.tokens.len() >= self.settings.length_max {
                // What is not among the best is only there so that enough go on.
                if (place < beams || !self.wanted.is_empty())
                    && self.wanted.is_met(&longer.progress)
                {
                    self.finish(longer);
                }
            } else {
                going.push(longer);
            }
        }
        self.open = if self.wanted.is_empty() {
            going.truncate(beams);
            going
        } else {
            choice::spread(going, beams)
        };
    }

    fn longer(&self, candidate: &Candidate) -> Option<Open> {
        let before = self.open.get(candidate.parent)?;
        let mut tokens = before.tokens.clone();
        tokens.push(candidate.token);
        let progress = self.wanted.advance(&before.progress, candidate.token);
        Some(Open { tokens, score: candidate.score, parent: candidate.parent, progress })
    }

    fn is_end(&self, token: u32) -> bool {
        self.settings.ends.contains(&token)
    }

    /// Keeps it when it is among the best.
    fn finish(&mut self, open: Open) {
        let score = open.score / self.weight(open.tokens.len());
        let cut = open.tokens.len() >= self.settings.length_max;
        let mut tokens = open.tokens;
        tokens.remove(0);
        if tokens.last().is_some_and(|last| self.is_end(*last)) {
            tokens.pop();
        }
        let place = self.finished.partition_point(|other| other.score >= score);
        self.finished.insert(place, Decoded { tokens, score, cut });
        self.finished.truncate(self.settings.beams);
    }

    /// What a score is divided by, for `length` tokens with the one at the start.
    fn weight(&self, length: usize) -> f32 {
        (length.saturating_sub(1) as f32).powf(self.settings.length_penalty)
    }

    /// Whether what is open is of no use any more.
    fn is_settled(&self) -> bool {
        let Some(worst) = self.finished.last().filter(|_| self.is_full()) else { return false };
        let length = self.open.first().map_or(0, |open| open.tokens.len());
        let length = match self.settings.stopping {
            Stopping::Early => return true,
            Stopping::Never if self.settings.length_penalty > 0.0 => self.settings.length_max,
            Stopping::Never | Stopping::Likely => length,
        };
        let scores = self.open.iter().map(|open| open.score);
        let best = scores.fold(f32::NEG_INFINITY, f32::max) / self.weight(length);
        // One beam follows one translation: its end is the end.
        self.settings.beams == 1 || best <= worst.score
    }

    fn is_full(&self) -> bool {
        self.finished.len() >= self.settings.beams
    }
}
