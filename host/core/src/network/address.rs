//! Ranges of addresses in CIDR form.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::class::canonical;

/// A range of addresses in CIDR form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressRange {
    /// The first address.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix: u8,
}

/// Why a range was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRangeError {
    /// It is no address, or no number of bits.
    #[error("a range is an address and a number of bits, such as 10.0.0.0/8 or fd00::/8")]
    Form,
    /// Bits behind the prefix are set, so that the range is not what it seems.
    #[error("the range has bits behind its prefix; this one is written {0}")]
    HostBits(AddressRange),
    /// An IPv4 address inside an IPv6 one: it is compared as IPv4, so it is written as IPv4.
    #[error("an IPv4 range is written as IPv4")]
    Mapped,
}

impl AddressRange {
    /// The range of exactly one address, in canonical form.
    #[must_use]
    pub fn one(address: IpAddr) -> Self {
        let address = canonical(address);
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether the range holds this address, in canonical form. Allocates nothing.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address, canonical(address));
        own.is_ipv4() == other.is_ipv4()
            && masked(bits(own), self.prefix, own) == masked(bits(other), self.prefix, own)
    }

    /// Whether every address of `other` lies in this range too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The leading `prefix` bits of an address of the family of `family`.
fn masked(bits: u128, prefix: u8, family: IpAddr) -> u128 {
    let width: u32 = if family.is_ipv4() { 32 } else { 128 };
    let free = width.saturating_sub(u32::from(prefix));
    bits.checked_shr(free).unwrap_or(0).checked_shl(free).unwrap_or(0)
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| AddressRangeError::Form)?;
        if canonical(address) != address {
            return Err(AddressRangeError::Mapped);
        }
        let Some(prefix) = prefix else { return Ok(Self::one(address)) };
        let digits = (1..=3).contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_digit())
            && (prefix.len() == 1 || !prefix.starts_with('0'));
        let prefix: u8 = prefix.parse().map_err(|_| AddressRangeError::Form)?;
        if !digits || prefix > Self::one(address).prefix {
            return Err(AddressRangeError::Form);
        }
        let range = Self { address: first(address, prefix), prefix };
        if range.address != address {
            return Err(AddressRangeError::HostBits(range));
        }
        Ok(range)
    }
}

/// The first address of the range.
fn first(address: IpAddr, prefix: u8) -> IpAddr {
    let start = masked(bits(address), prefix, address);
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(start).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(start)),
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}
