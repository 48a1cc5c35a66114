//! Where calls run: the table `[mesh]` of the configuration.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::Reader;
use crate::{
    diagnostic::Diagnostic,
    mesh::{
        membership::{NAME_BYTES_MAX, is_name},
        record::ROLES_MAX,
    },
};

/// Where calls run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshConfig {
    /// What this node is for, in words that a call may prefer. Its record says them.
    pub roles: Vec<String>,
    /// What orders the nodes that a call could run on. The router follows it.
    pub strategy: RoutingStrategy,
    /// Load of this node, in thousandths, below which a call that can run here does. The router
    /// follows it.
    pub local_first_below: u32,
    /// The oldest WebAssembly engine that a call may run on. The router enforces it.
    pub engine_floor: Option<semver::Version>,
    /// How members that are not known to be anywhere are looked for. The mesh follows it.
    pub discovery: Discovery,
}

/// How members are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discovery {
    /// They are not: addresses come from tickets, from other members and by hand.
    Off,
    /// This node announces itself on the local network, and listens there for others.
    Lan,
}

/// What orders the nodes that a call could run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingStrategy {
    /// By name.
    First,
    /// In turn.
    RoundRobin,
    /// The one with the most room.
    LeastLoaded,
    /// The one that answers soonest and fails least, by a formula.
    Scored,
}

impl MeshConfig {
    /// What holds when nothing is configured.
    pub const DEFAULT: Self = Self {
        roles: Vec::new(),
        strategy: RoutingStrategy::LeastLoaded,
        local_first_below: 800,
        engine_floor: None,
        discovery: Discovery::Off,
    };
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMesh {
    roles: Option<Vec<Spanned<String>>>,
    strategy: Option<RoutingStrategy>,
    local_first_below: Option<Spanned<f64>>,
    engine_floor: Option<Spanned<String>>,
    discovery: Option<Discovery>,
}

impl Reader<'_> {
    pub(super) fn mesh(&self, raw: &RawMesh) -> Result<MeshConfig, Diagnostic> {
        let default = MeshConfig::DEFAULT;
        Ok(MeshConfig {
            roles: self.roles(raw.roles.as_deref().unwrap_or_default())?,
            strategy: raw.strategy.unwrap_or(default.strategy),
            local_first_below: match &raw.local_first_below {
                Some(value) => self.share(value, "local_first_below")?,
                None => default.local_first_below,
            },
            engine_floor: self.engine_floor(raw.engine_floor.as_ref())?,
            discovery: raw.discovery.unwrap_or(default.discovery),
        })
    }

    fn roles(&self, raw: &[Spanned<String>]) -> Result<Vec<String>, Diagnostic> {
        let mut roles: Vec<String> = Vec::new();
        for value in raw {
            let role = value.get_ref();
            let (message, hint) = if !is_name(role) {
                let hint = format!("write 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` or `.`");
                ("this is not the name of a role", hint)
            } else if roles.contains(role) {
                ("this role is named twice", "name it once".to_owned())
            } else if roles.len() == ROLES_MAX {
                ("this is one role too many", format!("name at most {ROLES_MAX}"))
            } else {
                roles.push(role.clone());
                continue;
            };
            return Err(self.source.error_with_hint(value.span(), message, hint));
        }
        Ok(roles)
    }

    /// A share from 0 to 1, in thousandths.
    fn share(&self, value: &Spanned<f64>, name: &str) -> Result<u32, Diagnostic> {
        let share = *value.get_ref();
        let nearest = |thousandths: &u32| f64::from(*thousandths) / 1_000.0 >= share - 0.000_5;
        let found = (0.0..=1.0).contains(&share).then(|| (0..=1_000).find(nearest)).flatten();
        found.ok_or_else(|| {
            let message = format!("`{name}` is {share}");
            self.source.error_with_hint(value.span(), message, "write a number from 0 to 1")
        })
    }

    fn engine_floor(
        &self,
        value: Option<&Spanned<String>>,
    ) -> Result<Option<semver::Version>, Diagnostic> {
        let Some(value) = value else { return Ok(None) };
        let version = value.get_ref().parse().map_err(|_| {
            let message = "`engine_floor` is no version";
            let hint = "write all three numbers, such as \"48.0.0\"";
            self.source.error_with_hint(value.span(), message, hint)
        })?;
        Ok(Some(version))
    }
}
