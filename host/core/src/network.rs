//! Which requests may leave: host patterns, and the ranges of addresses that stay closed.
//!
//! A rule is parsed once, when it is written down; [`crate::decide`] compares requests with it
//! and allocates nothing. A name that a rule allows is checked a second time by the address that
//! it resolves to ([`AddressClass`]), because whoever owns a name decides where it leads.
//!
//! | written | covers |
//! |---|---|
//! | `https://api.example.org` | this host, port 443, every method and path |
//! | `https://*.example.org` | every name below it at any depth, not `example.org` itself |
//! | `http://10.0.0.7:8080/v1` | this address; `/v1` and what lies below, not `/v1x` |
//! | `GET,HEAD https://api.example.org` | these two methods |
//!
//! Deliberately absent: a pattern for every host, stars inside a name, address literals in odd
//! forms (`0x7f.1`, `127.1`, `017700000001`), user names, queries, and `CONNECT`.

use std::{fmt, str::FromStr};

mod address;
mod class;
mod host;
mod path;
mod rules;

pub use address::{AddressRange, AddressRangeError};
pub use class::{AddressClass, canonical};
pub use host::{Host, HostName, HostPattern};
pub use rules::NetworkRules;

/// Longest rule in bytes, as written.
pub const RULE_BYTES_MAX: usize = 2_048;
/// Most methods in one rule.
pub const METHODS_MAX: usize = 16;
/// Longest method in bytes.
pub const METHOD_BYTES_MAX: usize = 32;

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// The scheme with this name, in any case.
    #[must_use]
    pub const fn find(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else if name.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else {
            None
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of requests that name none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// One rule for outgoing requests; an empty list of rules denies all. Its text form is that of
/// the table above and is canonical: parsing what it prints gives the same rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NetworkRule {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Which hosts.
    pub host: HostPattern,
    /// The port; the scheme's own when not written.
    pub port: u16,
    /// Upper-case methods in order; empty means all but `CONNECT`.
    pub methods: Vec<String>,
    /// The path must be this or lie below it; `/` means all.
    pub path_prefix: String,
}

/// Why a network rule was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkRuleError {
    /// There is no `http://` or `https://`.
    #[error("a network permission needs http:// or https:// before the host")]
    Scheme,
    /// The host is no name, wildcard or address.
    #[error(
        "the host is not a name such as api.example.org, a wildcard such as *.example.org, or an address"
    )]
    Host,
    /// A star stands elsewhere than as the whole first label, or leaves less than two labels.
    #[error("a wildcard is `*.` before a name of at least two parts, such as *.example.org")]
    Wildcard,
    /// An address in hexadecimal, octal or shortened form.
    #[error("an IPv4 address is written as four decimal numbers, an IPv6 address in brackets")]
    OddAddress,
    /// The port is not 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// A method is not made of letters, stands twice, or is `CONNECT`.
    #[error("methods are names such as GET,POST; CONNECT cannot be granted")]
    Method,
    /// The path holds something that servers read in different ways.
    #[error("a path prefix holds no dot segment, empty segment, percent sign, query or space")]
    Path,
    /// The rule has a user name, a query or a fragment, or is longer than the bound.
    #[error("a network permission is [METHODS ]SCHEME://HOST[:PORT][/PATH] and nothing more")]
    Form,
}

impl NetworkRule {
    /// Whether every request that `other` allows is allowed by this rule too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|method| self.methods.contains(method)));
        self.scheme == other.scheme
            && self.port == other.port
            && methods
            && self.host.covers(&other.host)
            && path::is_below(&self.path_prefix, &other.path_prefix)
    }

    /// Whether this rule allows the request. Allocates nothing.
    #[must_use]
    pub fn allows(&self, request: &Request<'_>) -> bool {
        let any_method = self.methods.is_empty() && request.method != "CONNECT";
        self.port == request.port
            && self.scheme == request.scheme
            && self.host.matches(&request.host)
            && (any_method || self.methods.iter().any(|method| method == request.method))
            && path::allows(&self.path_prefix, request.path)
    }
}

/// A request that wants to leave, with its host already read by [`Host::parse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'text> {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Where it goes, from the request's own authority and never from a `Host` header.
    pub host: Host,
    /// The port, the scheme's own when none is written.
    pub port: u16,
    /// The method as it will be sent; methods are told apart by case (RFC 9110, section 9.1).
    pub method: &'text str,
    /// The path as it will be sent; from `?` on it does not count.
    pub path: &'text str,
}

impl FromStr for NetworkRule {
    type Err = NetworkRuleError;

    fn from_str(text: &str) -> Result<Self, NetworkRuleError> {
        if text.len() > RULE_BYTES_MAX {
            return Err(NetworkRuleError::Form);
        }
        let (methods, url) = match text.split_once(' ') {
            Some((methods, url)) => (parse_methods(methods)?, url),
            None => (Vec::new(), text),
        };
        let (scheme, rest) = url.split_once("://").ok_or(NetworkRuleError::Scheme)?;
        let scheme = Scheme::find(scheme).ok_or(NetworkRuleError::Scheme)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains(['@', '?', '#', '\\']) {
            return Err(NetworkRuleError::Form);
        }
        let (host, port) = split_port(authority)?;
        Ok(Self {
            scheme,
            host: host.parse()?,
            port: port.unwrap_or_else(|| scheme.default_port()),
            methods,
            path_prefix: path::parse_prefix(path).ok_or(NetworkRuleError::Path)?,
        })
    }
}

/// Splits `host:port`; the colons inside the brackets of an IPv6 address are the host's.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), NetworkRuleError> {
    let closing = authority.rfind(']');
    if authority.starts_with('[') && closing.is_none() {
        return Err(NetworkRuleError::OddAddress);
    }
    let bracket = closing.map_or(0, |index| index + 1);
    let (inside, after) = authority.split_at(bracket);
    let Some(colon) = after.find(':') else { return Ok((authority, None)) };
    let digits = after.get(colon + 1..).unwrap_or_default();
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = digits.parse().map_err(|_| NetworkRuleError::Port)?;
    if !plain || port == 0 {
        return Err(NetworkRuleError::Port);
    }
    let host = authority.get(..inside.len() + colon).unwrap_or_default();
    Ok((host, Some(port)))
}

fn parse_methods(text: &str) -> Result<Vec<String>, NetworkRuleError> {
    let mut methods = Vec::new();
    for method in text.split(',') {
        let letters = method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        let fits = (1..=METHOD_BYTES_MAX).contains(&method.len());
        let method = method.to_ascii_uppercase();
        let twice = methods.contains(&method) || methods.len() == METHODS_MAX;
        if !letters || !fits || twice || method == "CONNECT" {
            return Err(NetworkRuleError::Method);
        }
        methods.push(method);
    }
    methods.sort();
    Ok(methods)
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(formatter, "{} ", self.methods.join(","))?;
        }
        write!(formatter, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(formatter, ":{}", self.port)?;
        }
        if self.path_prefix != "/" {
            formatter.write_str(&self.path_prefix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
