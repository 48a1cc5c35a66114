//! The mesh: nodes that call each other's capabilities over QUIC. Everything here is pure: bytes and
//! times come in as values, and what is to be sent goes out as values.
//!
//! Reading order: a node is its [`key`]; what nodes say of themselves and of each other is
//! [`signed`]; who belongs to a community, and by whose word, is [`membership`]; a [`ticket`] lets
//! one more in. What nodes send each other are the frames of [`wire`], with a [`value`] in them
//! or none; a [`blob`] comes in groups that are checked one by one.

pub mod blob;
pub mod key;
pub mod membership;
pub mod share;
pub mod signed;
pub mod ticket;
pub mod value;
pub mod wire;
