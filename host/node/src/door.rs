//! The one door: every call takes this way.

pub mod places;
