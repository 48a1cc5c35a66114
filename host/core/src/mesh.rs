//! The mesh: nodes that call each other's capabilities over QUIC. Everything here is pure: bytes and
//! times come in as values, and what is to be sent goes out as values.
//!
//! Reading order: a node is its [`key`]; what nodes say of themselves and of each other is
//! [`signed`]; who belongs to a community, and by whose word, is [`membership`]; a [`ticket`] lets
//! one more in, and a [`share`] says what it may call. What nodes send each other are the frames of
//! [`wire`], with a [`value`] in them or none; what a function streams comes as [`items`]; a [`blob`] comes in groups that are checked one by one;
//! [`peer`] is the machine of one connection. A node's own word about itself is its [`record`]; what it
//! knows of all others is its [`catalogue`]. A [`route`] says where a call could run; a [`breaker`],
//! which nodes rest; an [`attempt`] is one call from its first try to its end, and a [`receipt`] what the
//! node that answered signs. What nodes recorded of one piece of work is [`handed`] on, and checked. On a
//! local network a node may [`announce`] itself; [`hearing`] is what others make of it, at their [`pace`]; [`checks`] are paced too.

pub mod announce;
pub mod attempt;
pub mod blob;
pub mod breaker;
pub mod catalogue;
pub mod checks;
pub mod handed;
pub mod hearing;
pub mod items;
pub mod key;
pub mod membership;
pub mod pace;
pub mod peer;
pub mod receipt;
pub mod record;
pub mod route;
pub mod share;
pub mod signed;
pub mod ticket;
pub mod value;
pub mod wire;
