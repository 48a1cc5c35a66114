//! The record of what happened: events in canonical JSON, chained per correlation, under one
//! Merkle tree, with signed heads. The format is the Capability Host Protocol's (version 0.2);
//! `host/decisions/0002-evidence-format.md` says what is ours and why.
//!
//! Reading order: [`canonical`] is the one spelling of a value; [`event`] says what one event
//! holds and [`call`] which events one call leaves; [`chain`] seals them; [`merkle`] is the tree
//! over all of them; [`lifecycle`] and [`purge`] are the events of the node itself; [`sign`] and [`bundle`] make statements that others can check; [`verify`]
//! checks a whole store; [`fleet`] puts the records of several nodes together.
//!
//! Deliberately absent: I/O, the clock, randomness (times, ids, salts and keys come in), text of
//! a guest (codes, lengths and commitments stand for it), and redaction of single payloads.

pub mod bundle;
pub mod call;
pub mod canonical;
pub mod chain;
pub mod event;
pub mod fact;
pub mod fleet;
pub mod hash;
pub mod lifecycle;
pub mod merkle;
pub mod purge;
pub mod read;
pub mod sign;
pub mod time;
pub mod verify;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod vectors;
