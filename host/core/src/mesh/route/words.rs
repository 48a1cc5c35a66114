//! A route as it is told to people.

use std::fmt::{self, Write as _};

use super::{Candidate, LeftOut, NodeKey, Reason, Request, Route, Why};
use crate::{code::Code, gates, outcome::Refusal};

/// Most nodes that are told one by one.
const TOLD_MAX: usize = 8;

impl Route {
    /// The route in one sentence: `ran on gpubox: load 0.12; nas left out: draining`. `ran_on` is
    /// the node that answered; without it, the one that would be asked first is told.
    #[must_use]
    pub fn in_words(&self, ran_on: Option<&NodeKey>) -> String {
        let ran = ran_on.and_then(|key| self.candidates.iter().find(|one| one.node == *key));
        let mut text = match (ran, self.candidates.first()) {
            (Some(candidate), _) => format!("ran on {}: {}", candidate.name, Place(candidate)),
            (None, Some(candidate)) => {
                format!("would run on {}: {}", candidate.name, Place(candidate))
            }
            (None, None) => "runs nowhere".to_owned(),
        };
        self.tell_left_out(&mut text);
        text
    }

    fn tell_left_out(&self, text: &mut String) {
        for LeftOut { name, reason, .. } in self.left_out.iter().take(TOLD_MAX) {
            // Writing to a text does not fail.
            let _ = write!(text, "; {name} left out: {reason}");
        }
        if let Some(more @ 1..) = self.left_out.len().checked_sub(TOLD_MAX) {
            let _ = write!(text, "; {more} more left out");
        }
    }

    /// What the caller is told when there is no candidate. Nothing ran.
    #[must_use]
    pub fn refusal(&self, request: &Request<'_>) -> Refusal {
        let capability = request.wanted.capability;
        let Some(worst) = self.left_out.iter().max_by_key(|left| left.reason.weight()) else {
            return match request.node {
                None => gates::not_found(capability),
                Some(_) => Refusal::new(
                    Code::NotFound,
                    "no member of the community is the node that was named",
                ),
            };
        };
        let mut message = format!("no node can run {capability}");
        self.tell_left_out(&mut message);
        let mut refusal = Refusal::new(worst.reason.code(), message);
        if let Reason::Resting { for_us } = worst.reason {
            refusal.retry_after_ms = Some(for_us.div_ceil(1_000));
        }
        refusal
    }
}

/// Why a candidate stands where it stands.
struct Place<'a>(&'a Candidate);

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Candidate { why, busy, models_loaded, score, probe, .. } = self.0;
        match why {
            Why::Named => formatter.write_str("named by the caller")?,
            Why::Preferred => formatter.write_str("preferred by the caller")?,
            Why::LocalFirst => formatter.write_str("this node, not busy")?,
            Why::First => formatter.write_str("first by name")?,
            Why::InTurn => formatter.write_str("its turn")?,
            Why::LeastLoaded => formatter.write_str("least loaded")?,
            Why::Scored => formatter.write_str("best score")?,
        }
        if let Some(busy) = busy {
            write!(formatter, ", load {}.{:02}", busy / 1_000, busy % 1_000 / 10)?;
        }
        match models_loaded {
            Some(true) => formatter.write_str(", its models are loaded")?,
            Some(false) => formatter.write_str(", its models have to be loaded")?,
            None => {}
        }
        if let Some(score) = score {
            write!(formatter, ", score {}", score / 1_000)?;
        }
        if *probe { formatter.write_str(", a probe after a rest") } else { Ok(()) }
    }
}

impl Reason {
    /// The code that a caller is told when this is what keeps the call from running.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::AnotherNode | Self::NotOffered | Self::AnotherPlugin => Code::CapabilityNotFound,
            Self::AmbiguousName => Code::UsageError,
            Self::AnotherVersion { .. } | Self::Engine { .. } => Code::CapabilityVersion,
            Self::AnotherType => Code::CapabilityType,
            Self::Disabled => Code::CapabilityDisabled,
            Self::Quarantined => Code::Quarantined,
            Self::Draining
            | Self::Left
            | Self::NotConnected
            | Self::Resting { .. }
            | Self::Probing => Code::NodeUnreachable,
        }
    }

    /// Which reason a caller is told of several: the one that waiting cures first.
    const fn weight(&self) -> u8 {
        match self {
            Self::AnotherNode => 0,
            Self::NotOffered | Self::AnotherPlugin => 1,
            Self::AnotherVersion { .. } | Self::Engine { .. } => 2,
            Self::AnotherType => 3,
            Self::Disabled => 4,
            Self::Quarantined => 5,
            Self::Draining | Self::Left | Self::NotConnected => 6,
            Self::Resting { .. } | Self::Probing => 7,
            Self::AmbiguousName => 8,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherNode => formatter.write_str("another node was named"),
            Self::AmbiguousName => {
                formatter.write_str("several nodes have this name; name it by its key")
            }
            Self::NotOffered => formatter.write_str("it does not offer the capability here"),
            Self::AnotherPlugin => formatter.write_str("another plugin was named"),
            Self::AnotherVersion { has } => write!(formatter, "it has version {has}"),
            Self::AnotherType => formatter.write_str("the capability has another type there"),
            Self::Disabled => formatter.write_str("the plugin is disabled there"),
            Self::Quarantined => formatter.write_str("the plugin rests there after traps"),
            Self::Draining => formatter.write_str("draining"),
            Self::Left => formatter.write_str("it has stopped"),
            Self::Engine { has } => write!(formatter, "its engine {has} is too old"),
            Self::NotConnected => formatter.write_str("not connected"),
            Self::Resting { for_us } => {
                write!(formatter, "failed and rests for {} s", for_us.div_ceil(1_000_000))
            }
            Self::Probing => formatter.write_str("failed, and another call tries it"),
        }
    }
}
