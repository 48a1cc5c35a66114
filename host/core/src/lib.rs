//! The pure part of meshhost: it does no I/O, reads no clock and draws no random numbers, so it
//! cannot fail by either. Everything that it needs from outside comes in as a value or through
//! one of the traits in [`ports`].
//!
//! Reading order: a call is an [`invocation::Invocation`], named by the types in [`id`]; the
//! [`gates`] decide it on a snapshot and hand out a [`permit::Permit`]; what the plugin may do is
//! the [`grant::EffectiveGrants`] made from its [`manifest`], the operator's [`grant`] and the
//! node's [`limits`]; what comes back is an [`outcome::Outcome`]; and all of it is written down
//! as [`evidence`]. Every error carries a [`code::Code`].

pub mod capability;
pub mod code;
pub mod config;
pub mod decide;
pub mod diagnostic;
pub mod evidence;
pub mod function_type;
pub mod gates;
pub mod grant;
pub mod id;
pub mod index;
pub mod inference;
pub mod invocation;
pub mod json;
pub mod limits;
pub mod link;
pub mod manifest;
pub mod mesh;
pub mod model_use;
pub mod network;
pub mod outcome;
pub mod permission;
pub mod permit;
pub mod ports;
pub mod profile;
pub mod quarantine;
