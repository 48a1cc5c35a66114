//! A ticket lets one more node into a community. It is a secret with a few words around it: where
//! its issuer was last seen, and which key to expect there. It gives no right by itself: the issuer
//! decides when the ticket is presented, and counts its uses.

use std::{fmt, net::SocketAddr, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::key::NodeKey;
use crate::id::Digest;

/// What a ticket's text begins with.
const PREFIX: &str = "meshhost-ticket-1:";
/// Longest text of a ticket, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Most addresses in a ticket.
pub const ADDRESSES_MAX: usize = 8;
/// Most tickets that a node keeps.
pub const TICKETS_MAX: usize = 256;
/// Most uses of one ticket.
pub const USES_MAX: u32 = 256;

/// A ticket as it is handed over.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The community.
    pub community: Digest,
    /// Who issued it, and decides about it.
    pub issuer: NodeKey,
    /// Where the issuer may be found.
    pub addresses: Vec<SocketAddr>,
    /// Until when it can be used, in microseconds since 1970.
    pub expires_us: i64,
    /// Shows that one has the ticket.
    pub secret: [u8; 32],
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Ticket")
            .field("community", &self.community)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// The text is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no ticket: it begins with {PREFIX} and is one line, as `meshhost mesh ticket` prints it"
)]
pub struct NoTicket;

impl fmt::Display for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = postcard::to_allocvec(self).map_err(|_| fmt::Error)?;
        write!(formatter, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Ticket {
    type Err = NoTicket;

    fn from_str(text: &str) -> Result<Self, NoTicket> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return Err(NoTicket);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(NoTicket)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NoTicket)?;
        let (ticket, rest) = postcard::take_from_bytes::<Self>(&bytes).map_err(|_| NoTicket)?;
        let fits = rest.is_empty() && ticket.addresses.len() <= ADDRESSES_MAX;
        fits.then_some(ticket).ok_or(NoTicket)
    }
}

/// A ticket as its issuer keeps it. The secret itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedTicket {
    /// BLAKE3 of the secret; its first digits are what people name the ticket by.
    pub secret: Digest,
    /// Until when, in microseconds since 1970.
    pub expires_us: i64,
    /// How many nodes it lets in.
    pub uses: u32,
    /// Those it let in.
    pub joined: Vec<NodeKey>,
}

/// Why a ticket lets nobody in. Whoever presents it is told none of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketRefused {
    /// Its time is over.
    #[error("the ticket has expired")]
    Expired,
    /// It has let in as many as it may.
    #[error("the ticket is used up")]
    UsedUp,
}

impl IssuedTicket {
    /// Digits that tell a ticket from the others of a node.
    #[must_use]
    pub fn name(&self) -> String {
        let digits = self.secret.to_string();
        digits.trim_start_matches("blake3:").chars().take(8).collect()
    }

    /// Lets `key` in, once more when it was let in before: an answer may have been lost.
    ///
    /// # Errors
    /// [`TicketRefused`].
    pub fn admit(&mut self, key: NodeKey, now_us: i64) -> Result<(), TicketRefused> {
        if now_us >= self.expires_us {
            return Err(TicketRefused::Expired);
        }
        if self.joined.contains(&key) {
            return Ok(());
        }
        if self.joined.len() >= usize::try_from(self.uses.min(USES_MAX)).unwrap_or(0) {
            return Err(TicketRefused::UsedUp);
        }
        self.joined.push(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::sign::Signer;

    fn key(seed: u8) -> NodeKey {
        Signer::from_seed(&[seed; 32]).node_key()
    }

    fn ticket() -> Ticket {
        Ticket {
            community: Digest::of(b"c"),
            issuer: key(1),
            addresses: vec!["127.0.0.1:7081".parse().unwrap(), "[::1]:7081".parse().unwrap()],
            expires_us: 1_700_000_000_000_000,
            secret: [9; 32],
        }
    }

    #[test]
    fn a_ticket_is_one_line_and_reads_back() {
        let text = ticket().to_string();
        assert!(text.len() < 300 && !text.contains(char::is_whitespace), "{text}");
        assert_eq!(format!("  {text}\n").parse(), Ok(ticket()));
        for wrong in ["", "meshhost-ticket-1:", "meshhost-ticket-1:AAAA", &text[1..], &text[..60]] {
            assert_eq!(wrong.parse::<Ticket>(), Err(NoTicket), "{wrong}");
        }
        assert_eq!(format!("{text}AA").parse::<Ticket>(), Err(NoTicket));
        assert!(!format!("{:?}", ticket()).contains("9, 9"), "the secret is not printed");
    }

    #[test]
    fn a_ticket_lets_in_as_many_as_it_says_and_no_longer_than_it_says() {
        let secret = Digest::of(b"s");
        let mut issued = IssuedTicket { secret, expires_us: 100, uses: 2, joined: Vec::new() };
        assert_eq!(issued.admit(key(1), 1), Ok(()));
        assert_eq!(issued.admit(key(1), 2), Ok(()), "the same node again takes no use");
        assert_eq!(issued.admit(key(2), 3), Ok(()));
        assert_eq!(issued.admit(key(3), 4), Err(TicketRefused::UsedUp));
        assert_eq!(issued.admit(key(1), 100), Err(TicketRefused::Expired));
    }
}
