//! What a node knows of all others. Records and offers come in any order and more than once; of each
//! node the one with the highest version holds, so that nodes that have heard the same agree.
//!
//! Clocks of others are not trusted: how old something is, the one who heard it measures. What a
//! node that is no member any more has said is kept and not shown, so that nothing older takes its
//! place when the node comes back.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    checks::Checks,
    key::NodeKey,
    membership::{MEMBERS_MAX, Membership},
    record::{Load, NodeRecord, Offer, Offered, RecordError, Said},
    signed::{Signed, Statement},
};
use crate::id::{CapabilityId, Digest};

/// Most nodes that are known, this one included.
pub const NODES_MAX: usize = MEMBERS_MAX;
/// How often a node looks whether its record is still true, in microseconds.
pub const LOOK_US: i64 = 20_000_000;
/// How often it publishes it although nothing has changed, in microseconds: others take what a record
/// says of load for unknown after [`LOAD_AGE_US_MAX`].
pub const PUBLISH_US: i64 = 120_000_000;
/// How old a load may be, in microseconds.
pub const LOAD_AGE_US_MAX: u64 = 300_000_000;
/// How much a load has to differ to be told before its time, in thousandths.
const LOAD_DIFFERS: u32 = 100;

/// What became of a record or an offer that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// It was new; a record is to be passed on.
    New,
    /// It, or a later one, was known.
    Known,
    /// It is this node's own, and later than the one that it publishes: from before it forgot. It
    /// publishes anew, with [`Catalogue::next_version`].
    OwnOutdone,
}

/// What holds of two statements of one node: the later one; of two with one version, as its bytes
/// say, so that also what a node says twice in different ways is heard alike everywhere.
type Order = (u64, Digest);

#[derive(Debug, Clone)]
struct KeptRecord {
    signed: Signed<NodeRecord>,
    record: NodeRecord,
    order: Order,
    lasting: Digest,
    heard_us: i64,
}

#[derive(Debug, Clone)]
struct KeptOffer {
    offer: Offer,
    order: Order,
    /// Places in the offer by folded id, short and long.
    places: BTreeMap<String, Vec<usize>>,
    /// Whether the next offer takes its place, whatever its version.
    outlived: bool,
}

/// Which records a peer has, as far as one node can tell: one for each connection, empty at first.
#[derive(Debug, Clone, Default)]
pub struct PeerHas(BTreeMap<NodeKey, Has>);

/// The record of one node that a peer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Has {
    /// All of it.
    record: Digest,
    /// What of it lasts.
    lasting: Digest,
}

impl KeptRecord {
    fn new(signed: Signed<NodeRecord>, record: NodeRecord, order: Order, heard_us: i64) -> Self {
        let lasting = lasting(&record);
        Self { signed, record, order, lasting, heard_us }
    }

    const fn has(&self) -> Has {
        Has { record: self.order.1, lasting: self.lasting }
    }
}

/// What one node knows of all.
#[derive(Debug, Clone)]
pub struct Catalogue {
    own: NodeKey,
    own_version: u64,
    records: BTreeMap<NodeKey, KeptRecord>,
    offers: BTreeMap<NodeKey, KeptOffer>,
    /// How often signatures are checked of what each peer sends, over all its connections.
    checks: Checks,
}

/// Another node, as it is known.
#[derive(Debug, Clone, Copy)]
pub struct KnownNode<'a> {
    /// Its record.
    pub record: &'a NodeRecord,
    /// When this version of it was heard, in microseconds of the clock of the one who heard it.
    pub heard_us: i64,
    offer: Option<&'a KeptOffer>,
}

impl<'a> KnownNode<'a> {
    /// How long ago its record was heard, in microseconds.
    #[must_use]
    pub fn age_us(&self, now_us: i64) -> u64 {
        u64::try_from(now_us.saturating_sub(self.heard_us)).unwrap_or(0)
    }

    /// Whether it has said what it offers to this node.
    #[must_use]
    pub const fn has_offered(&self) -> bool {
        self.offer.is_some()
    }

    /// What it offers to this node; nothing until it has said so.
    #[must_use]
    pub fn offered(&self) -> &'a [Offered] {
        self.offer.map_or(&[], |kept| &kept.offer.capabilities)
    }

    /// Its providers of a capability, the one that is called first at the beginning. Ids are folded
    /// as a node's own are.
    pub fn providers(&self, capability: &CapabilityId) -> impl Iterator<Item = &'a Offered> {
        let offer = self.offer;
        let places = offer.and_then(|kept| kept.places.get(&capability.folded()));
        let all = places.into_iter().flatten();
        all.filter_map(move |place| offer.and_then(|kept| kept.offer.capabilities.get(*place)))
    }
}

impl Catalogue {
    /// What a node knows at first.
    #[must_use]
    pub const fn new(own: NodeKey) -> Self {
        Self {
            own,
            own_version: 0,
            records: BTreeMap::new(),
            offers: BTreeMap::new(),
            checks: Checks::none(),
        }
    }

    /// The version of this node's next record or offer, each time a higher one. From its clock, so
    /// that it need not be kept over a restart, and above everything that others still have.
    pub fn next_version(&mut self, now_us: i64) -> u64 {
        let by_clock = u64::try_from(now_us).unwrap_or(0);
        self.own_version = self.own_version.saturating_add(1).max(by_clock);
        self.own_version
    }

    /// Puts this node's own record in, to be sent to its peers.
    ///
    /// # Errors
    /// When it is not this node's, does not hold, or has too much in it.
    pub fn publish(&mut self, signed: Signed<NodeRecord>, now_us: i64) -> Result<(), RecordError> {
        let record = signed.open()?;
        record.check()?;
        if record.node != self.own {
            return Err(RecordError::NotOwn);
        }
        self.own_version = self.own_version.max(record.version);
        let order = (record.version, digest(&signed));
        self.records.insert(self.own, KeptRecord::new(signed, record, order, now_us));
        Ok(())
    }

    /// This node's own record, once it is published.
    #[must_use]
    pub fn own(&self) -> Option<&NodeRecord> {
        self.records.get(&self.own).map(|kept| &kept.record)
    }

    /// Takes in what the peer `from` sent; `has` is what this peer has. Signatures cost most, so what is
    /// known is not checked, and of what is new no more than a peer has reason to send. `steady_us` is now, of
    /// a clock that never goes back.
    ///
    /// # Errors
    /// [`RecordError`]: nothing was changed.
    pub fn hear(
        &mut self,
        (from, said): (&NodeKey, Said),
        has: &mut PeerHas,
        membership: &Membership,
        (now_us, steady_us): (i64, i64),
    ) -> Result<Learned, RecordError> {
        let is_news = match &said {
            Said::Record(signed) => self.is_news(signed, digest(signed), membership)?,
            Said::Offer(signed) => self.is_new_offer(signed, from, membership)?,
        };
        if is_news && !self.checks.of(from, membership).take(steady_us) {
            return Err(RecordError::Pace);
        }
        match said {
            Said::Record(signed) => self.learn_record(signed, has, membership, now_us),
            Said::Offer(signed) => self.learn_offer(&signed, from, membership),
        }
    }

    /// Takes in a record that a peer sent, its own or that of another node. `has` is what this peer
    /// has.
    ///
    /// # Errors
    /// [`RecordError`]: nothing was changed.
    pub fn learn_record(
        &mut self,
        signed: Signed<NodeRecord>,
        has: &mut PeerHas,
        membership: &Membership,
        now_us: i64,
    ) -> Result<Learned, RecordError> {
        let digest = digest(&signed);
        // The same record comes from every peer: its signature is checked once.
        if let Some((node, kept)) = self.records.iter().find(|(_, kept)| kept.order.1 == digest) {
            has.0.insert(*node, kept.has());
            return Ok(Learned::Known);
        }
        if !self.is_news(&signed, digest, membership)? {
            return Ok(Learned::Known);
        }
        let record = signed.open()?;
        if record.node == self.own {
            self.own_version = self.own_version.max(record.version);
            return Ok(Learned::OwnOutdone);
        }
        let order = (record.version, digest);
        self.make_room(&record.node, membership)?;
        let node = record.node;
        let kept = KeptRecord::new(signed, record, order, now_us);
        has.0.insert(node, kept.has());
        self.records.insert(node, kept);
        Ok(Learned::New)
    }

    /// Whether a record would be taken in if its signature held: one that is not later than what is known
    /// need not be checked.
    fn is_news(
        &self,
        signed: &Signed<NodeRecord>,
        digest: Digest,
        membership: &Membership,
    ) -> Result<bool, RecordError> {
        let record = signed.unchecked()?;
        record.check()?;
        self.admit(record.community, &record.node, membership)?;
        let order = (record.version, digest);
        Ok(self.records.get(&record.node).is_none_or(|kept| kept.order < order))
    }

    /// Takes in the offer that the peer `from` sent to this node.
    ///
    /// # Errors
    /// [`RecordError`]: nothing was changed.
    pub fn learn_offer(
        &mut self,
        signed: &Signed<Offer>,
        from: &NodeKey,
        membership: &Membership,
    ) -> Result<Learned, RecordError> {
        if !self.is_new_offer(signed, from, membership)? {
            return Ok(Learned::Known);
        }
        let offer = signed.open()?;
        let order = (offer.version, digest(signed));
        self.make_room(from, membership)?;
        let places = places(&offer.capabilities);
        self.offers.insert(*from, KeptOffer { offer, order, places, outlived: false });
        Ok(Learned::New)
    }

    /// As [`Self::is_news`], for an offer.
    fn is_new_offer(
        &self,
        signed: &Signed<Offer>,
        from: &NodeKey,
        membership: &Membership,
    ) -> Result<bool, RecordError> {
        let offer = signed.unchecked()?;
        if offer.node != *from {
            return Err(RecordError::Relayed);
        }
        if offer.peer != self.own {
            return Err(RecordError::Addressee);
        }
        offer.check()?;
        self.admit(offer.community, &offer.node, membership)?;
        let order = (offer.version, digest(signed));
        Ok(self.offers.get(from).is_none_or(|kept| kept.order < order || kept.outlived))
    }

    /// A new connection to a node was made, and what comes over an older one is heard no more. The
    /// node may have forgotten what it offered: what it offers next holds. Until then what it offered
    /// before is still known.
    pub fn connected(&mut self, node: &NodeKey) {
        if let Some(kept) = self.offers.get_mut(node) {
            kept.outlived = true;
        }
    }

    /// A node is no member any more: what it offered is forgotten.
    pub fn revoked(&mut self, node: &NodeKey) {
        self.offers.remove(node);
    }

    /// All other nodes that are members now, by key. Bounded by [`NODES_MAX`].
    pub fn nodes<'a>(
        &'a self,
        membership: &'a Membership,
    ) -> impl Iterator<Item = KnownNode<'a>> + 'a {
        let others = self.records.iter().filter(|(key, _)| **key != self.own);
        let members = others.filter(|(key, _)| membership.member(key).is_some());
        members.map(|(key, kept)| KnownNode {
            record: &kept.record,
            heard_us: kept.heard_us,
            offer: self.offers.get(key),
        })
    }

    /// The records that a peer does not have, to be sent to it; from now on it has them. On a new
    /// connection these are all, the peer's own as well: a node that forgot its version learns it so.
    /// Later on how busy another node is comes from that node alone: passed on by everybody, it would be
    /// nearly all that an idle mesh sends, and who is not connected with that node has no use for it.
    pub fn news_for(&self, has: &mut PeerHas, membership: &Membership) -> Vec<Signed<NodeRecord>> {
        has.0.retain(|key, _| membership.member(key).is_some());
        let of_members = self.records.iter().filter(|(key, _)| membership.member(key).is_some());
        let news = of_members.filter(|(key, kept)| match has.0.get(key) {
            Some(has) if **key == self.own => has.record != kept.order.1,
            Some(has) => has.lasting != kept.lasting,
            None => true,
        });
        let news: Vec<_> = news.collect();
        has.0.extend(news.iter().map(|(key, kept)| (**key, kept.has())));
        news.into_iter().map(|(_, kept)| kept.signed.clone()).collect()
    }

    /// Whether this node's record is to be published anew: it has changed, or was published long ago.
    #[must_use]
    pub fn is_due(&self, now: &NodeRecord, now_us: i64) -> bool {
        let Some(kept) = self.records.get(&self.own) else { return true };
        // Also a clock that was set back is a reason.
        let age_us = now_us.saturating_sub(kept.heard_us);
        !(0..PUBLISH_US).contains(&age_us)
            || lasting(now) != kept.lasting
            || differs(&now.load, &kept.record.load)
    }

    fn admit(
        &self,
        community: Digest,
        node: &NodeKey,
        membership: &Membership,
    ) -> Result<(), RecordError> {
        if community != membership.community() {
            return Err(RecordError::Community);
        }
        membership.member(node).map(|_| ()).ok_or(RecordError::Stranger)
    }

    /// Those that are no members any more make room for one that is.
    fn make_room(&mut self, node: &NodeKey, membership: &Membership) -> Result<(), RecordError> {
        let known = |catalogue: &Self| {
            catalogue.records.contains_key(node) || catalogue.records.len() < NODES_MAX
        };
        let offered = |catalogue: &Self| {
            catalogue.offers.contains_key(node) || catalogue.offers.len() < NODES_MAX
        };
        if !known(self) || !offered(self) {
            self.records.retain(|key, _| membership.member(key).is_some());
            self.offers.retain(|key, _| membership.member(key).is_some());
        }
        if known(self) && offered(self) { Ok(()) } else { Err(RecordError::Full) }
    }
}

fn places(capabilities: &[Offered]) -> BTreeMap<String, Vec<usize>> {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, one) in capabilities.iter().enumerate() {
        let ids = BTreeSet::from([one.id.folded(), one.long_id.folded()]);
        for id in ids {
            places.entry(id).or_default().push(place);
        }
    }
    places
}

/// A record without what changes all the time: its version, and how busy the node is.
fn lasting(record: &NodeRecord) -> Digest {
    let record = NodeRecord { version: 0, issued_us: 0, load: Load::default(), ..record.clone() };
    Digest::of(&postcard::to_allocvec(&record).unwrap_or_default())
}

/// Whether calls would go elsewhere for it.
fn differs(one: &Load, other: &Load) -> bool {
    let far = |one: Option<u32>, other: Option<u32>| match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) >= LOAD_DIFFERS,
        (one, other) => one != other,
    };
    one.is_full() != other.is_full()
        || far(one.busy_at_all(), other.busy_at_all())
        || far(one.gpu, other.gpu)
}

fn digest<T: Statement>(signed: &Signed<T>) -> Digest {
    Digest::of(&postcard::to_allocvec(signed).unwrap_or_default())
}

#[cfg(test)]
mod tests;
