//! Host names and patterns. Both sides of a comparison are brought to one form first: lower
//! case, no final dot, IDN as `xn--`, addresses as numbers.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{NetworkRuleError, class::canonical};

/// Longest host name in bytes (RFC 1035, section 2.3.4, without the final dot).
const NAME_BYTES_MAX: usize = 253;
/// Longest label in bytes (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Which hosts a rule covers. Names are lower case, without a final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this name.
    Name(String),
    /// Any name below this suffix, at any depth; never the suffix itself.
    Below(String),
    /// Exactly this address, in canonical form.
    Address(IpAddr),
}

/// The host of a request, found to be well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack, and nothing is allocated")]
pub enum Host {
    /// A name.
    Name(HostName),
    /// An address in canonical form.
    Address(IpAddr),
}

/// A name in ASCII and lower case, without its final dot: brought to that form once, so that
/// comparing it with many rules compares bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostName {
    /// What follows the name is zero.
    bytes: [u8; NAME_BYTES_MAX],
    length: u8,
}

impl HostName {
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES_MAX];
        let length = u8::try_from(text.len()).ok().filter(|_| is_name(text))?;
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        bytes.make_ascii_lowercase();
        Some(Self { bytes, length })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

impl Host {
    /// Reads the host of a request: a name in ASCII, a dotted IPv4 address, or an IPv6 address
    /// with or without brackets. `None` for everything else, odd forms of addresses included:
    /// resolvers read those in different ways. Allocates nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inside) = bracketed {
            return inside.parse::<Ipv6Addr>().ok().map(Self::v6);
        }
        if text.contains(':') {
            return text.parse::<Ipv6Addr>().ok().map(Self::v6);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if ends_in_number(name) {
            let address = name.parse::<Ipv4Addr>().ok()?;
            return Some(Self::Address(IpAddr::V4(address)));
        }
        HostName::parse(name).map(Self::Name)
    }

    fn v6(address: Ipv6Addr) -> Self {
        Self::Address(canonical(IpAddr::V6(address)))
    }
}

impl HostPattern {
    /// Whether the pattern covers this host. Allocates nothing.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Name(name), Host::Name(host)) => name.as_bytes() == host.as_bytes(),
            (Self::Below(suffix), Host::Name(host)) => is_below(suffix, host.as_bytes()),
            (Self::Address(address), Host::Address(host)) => address == host,
            _ => false,
        }
    }

    /// Whether every host that `other` covers is covered by this pattern too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(suffix), Self::Below(other)) => {
                suffix == other || is_below(suffix, other.as_bytes())
            }
            (Self::Below(suffix), Self::Name(name)) => is_below(suffix, name.as_bytes()),
            _ => self == other,
        }
    }
}

/// Whether `name` is `something.suffix`; both are lower case.
fn is_below(suffix: &str, name: &[u8]) -> bool {
    let Some(dot) = name.len().checked_sub(suffix.len() + 1) else { return false };
    let (before, after) = name.split_at(dot);
    let [b'.', tail @ ..] = after else { return false };
    !before.is_empty() && tail == suffix.as_bytes()
}

/// Whether the last label is a number in any notation: then the whole is an address or nothing
/// (WHATWG URL, "ends in a number").
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    decimal || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(allowed)
}

impl FromStr for HostPattern {
    type Err = NetworkRuleError;

    fn from_str(text: &str) -> Result<Self, NetworkRuleError> {
        if let Some(suffix) = text.strip_prefix("*.") {
            let suffix = to_ascii(suffix).ok_or(NetworkRuleError::Wildcard)?;
            let found = Host::parse(&suffix).ok_or(NetworkRuleError::Wildcard)?;
            return match found {
                Host::Name(name) if name.as_str().contains('.') => {
                    Ok(Self::Below(name.as_str().to_owned()))
                }
                _ => Err(NetworkRuleError::Wildcard),
            };
        }
        if text.contains('*') {
            return Err(NetworkRuleError::Wildcard);
        }
        if text.contains(':') && !text.starts_with('[') {
            return Err(NetworkRuleError::OddAddress);
        }
        let ascii = if text.starts_with('[') { Some(text.to_owned()) } else { to_ascii(text) };
        let ascii = ascii.ok_or(NetworkRuleError::Host)?;
        match Host::parse(&ascii) {
            Some(Host::Name(name)) => Ok(Self::Name(name.as_str().to_owned())),
            Some(Host::Address(address)) => Ok(Self::Address(address)),
            None if ends_in_number(&ascii) || ascii.starts_with('[') => {
                Err(NetworkRuleError::OddAddress)
            }
            None => Err(NetworkRuleError::Host),
        }
    }
}

/// Lower case, `xn--` for what is not ASCII (UTS 46), without the final dot.
fn to_ascii(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    // What looks like a number is judged as it was written, before any mapping.
    if ends_in_number(name) {
        return Some(name.to_owned());
    }
    let ascii = idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::URL).ok()?;
    Some(ascii.into_owned())
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Below(suffix) => write!(formatter, "*.{suffix}"),
            Self::Address(IpAddr::V4(address)) => write!(formatter, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}
