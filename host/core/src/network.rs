//! Which requests may leave: host patterns, and the ranges of addresses that stay closed.

use std::net::IpAddr;

/// One rule for outgoing requests; an empty list of rules denies all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NetworkRule {
    /// `http` or `https`.
    pub scheme: String,
    /// Which hosts.
    pub host: HostPattern,
    /// The port; the scheme's own when not written.
    pub port: u16,
    /// Upper-case methods; empty means all.
    pub methods: Vec<String>,
    /// The path must be this or lie below it; `/` means all.
    pub path_prefix: String,
}

/// Which hosts a rule covers. Names are lower case, without a final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this name.
    Name(String),
    /// Any name below this suffix, at any depth; never the suffix itself.
    Below(String),
    /// Exactly this address.
    Address(IpAddr),
}

/// A range of addresses in CIDR form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressRange {
    /// The first address.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix: u8,
}
