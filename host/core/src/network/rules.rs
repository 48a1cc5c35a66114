//! The rules of one plugin, put in order once so that deciding a request compares little.

use super::{Host, HostPattern, NetworkRule, Request};

/// Network rules, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct NetworkRules {
    /// Those for one name each, by name.
    named: Vec<(Box<[u8]>, NetworkRule)>,
    /// Those for addresses and for all names below one.
    others: Vec<NetworkRule>,
}

impl NetworkRules {
    /// Puts the rules in order.
    #[must_use]
    pub fn new(rules: &[NetworkRule]) -> Self {
        let mut ordered = Self::default();
        for rule in rules {
            match &rule.host {
                HostPattern::Name(name) => {
                    ordered.named.push((name.as_bytes().into(), rule.clone()));
                }
                HostPattern::Below(_) | HostPattern::Address(_) => {
                    ordered.others.push(rule.clone());
                }
            }
        }
        ordered.named.sort_by(|one, other| one.0.cmp(&other.0));
        ordered
    }

    /// A rule that allows the request. Allocates nothing.
    #[must_use]
    pub fn allowing(&self, request: &Request<'_>) -> Option<&NetworkRule> {
        let named = match &request.host {
            Host::Name(name) => self.for_name(name.as_bytes()),
            Host::Address(_) => &[],
        };
        let mut rules = named.iter().map(|(_, rule)| rule).chain(&self.others);
        rules.find(|rule| rule.allows(request))
    }

    fn for_name(&self, name: &[u8]) -> &[(Box<[u8]>, NetworkRule)] {
        let start = self.named.partition_point(|(own, _)| **own < *name);
        let from = self.named.get(start..).unwrap_or_default();
        let length = from.partition_point(|(own, _)| **own == *name);
        from.get(..length).unwrap_or_default()
    }
}
