//! Decides what a plugin tries during a call, on values that were compiled when it was granted.
//! Each function answers that it is allowed, with the rule where that matters, or with a [`Denied`]
//! that says which permission would. Nothing is allocated unless the answer is no.
//!
//! Deliberately absent: files. Folders are opened when they are granted, and what lies outside
//! them cannot be named; see [`crate::grant::executes_for_others`] for what is left out inside.

use std::net::IpAddr;

use serde_json::Value;

use crate::{
    diagnostic::printable,
    network::{
        AddressClass, AddressRange, Host, HostPattern, NetworkRule, NetworkRules, Request, Scheme,
    },
    outcome::DeniedAccess,
    permission::{CallRules, Permission},
};

/// Longest target that is written down, in characters.
const TARGET_CHARS_MAX: usize = 256;

/// What was denied, and what would have allowed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The permission that would have allowed it, in the grammar of [`crate::permission`], when
    /// one exists.
    pub permission: Option<String>,
    /// What it was about, bounded and escaped.
    pub target: String,
}

impl Denied {
    /// A denial without anything that could be granted.
    #[must_use]
    pub fn always(target: &str) -> Self {
        Self { permission: None, target: shown(target) }
    }

    /// A denial that this permission would have prevented.
    #[must_use]
    pub fn needs(permission: &Permission, target: &str) -> Self {
        Self { permission: Some(permission.to_string()), target: shown(target) }
    }

    /// The entry for the call's result: `function` is the interface and function that was called.
    #[must_use]
    pub fn at(self, function: &str) -> DeniedAccess {
        DeniedAccess {
            permission: self.permission,
            function: function.to_owned(),
            target: self.target,
        }
    }
}

fn shown(target: &str) -> String {
    printable(&target.chars().take(TARGET_CHARS_MAX).collect::<String>())
}

/// Decides whether a request may leave, by what it says of itself: scheme, host, port, method
/// and path, all taken from the request's own target. The address that the host resolves to is
/// decided apart by [`address`]; a redirect is a new request.
///
/// # Errors
/// When no rule allows it, or when scheme or host have no single reading.
pub fn request<'rules>(
    rules: &'rules NetworkRules,
    scheme: &str,
    host: &str,
    port: Option<u16>,
    method: &str,
    path: &str,
) -> Result<&'rules NetworkRule, Denied> {
    let (Some(scheme), Some(parsed)) = (Scheme::find(scheme), Host::parse(host)) else {
        return Err(Denied::always(host));
    };
    let port = port.unwrap_or_else(|| scheme.default_port());
    let wanted = Request { scheme, host: parsed, port, method, path };
    rules.allowing(&wanted).ok_or_else(|| denied_request(&wanted))
}

/// The smallest rule for this request that a person would write: its host, port and method.
fn denied_request(wanted: &Request<'_>) -> Denied {
    let host = match wanted.host {
        Host::Name(name) => HostPattern::Name(name.as_str().to_owned()),
        Host::Address(address) => HostPattern::Address(address),
    };
    let rule = NetworkRule {
        scheme: wanted.scheme,
        host,
        port: wanted.port,
        methods: vec![wanted.method.to_owned()],
        path_prefix: "/".to_owned(),
    };
    let target = format!("{rule}");
    // A method that the grammar refuses cannot be granted.
    match target.parse::<NetworkRule>() {
        Ok(rule) => Denied::needs(&Permission::Network(rule), &target),
        Err(_) => Denied::always(&target),
    }
}

/// Decides whether a connection may go to this address, for a request that `rule` allowed. Every
/// address that is not public needs a range; a metadata service needs a range of exactly its
/// address. A rule that names an address grants that address.
///
/// # Errors
/// When the address is not public and nothing grants it. The denial says which kind of address it
/// is, but neither the address nor a range: they would tell the plugin's caller about the
/// operator's network.
pub fn address(address: IpAddr, rule: &NetworkRule, ranges: &[AddressRange]) -> Result<(), Denied> {
    let class = AddressClass::of(address);
    let exact = AddressRange::one(address);
    let named = HostPattern::Address(exact.address) == rule.host;
    let granted = |range: &AddressRange| match class {
        AddressClass::Metadata => *range == exact,
        _ => range.contains(address),
    };
    if class == AddressClass::Public || named || ranges.iter().any(granted) {
        return Ok(());
    }
    let target = format!("{} (which leads to a {} address)", rule.host, class.as_str());
    Err(Denied::always(&target))
}

/// Decides whether a plugin may call a capability with this input. `capability` is the resolved
/// id, with `_` for ids that come from WIT.
///
/// # Errors
/// When no rule allows it.
pub fn call(rules: &CallRules, capability: &str, input: &Value) -> Result<(), Denied> {
    if rules.allow(capability, input) {
        return Ok(());
    }
    Err(match format!("call={capability}").parse::<Permission>() {
        Ok(permission) => Denied::needs(&permission, capability),
        Err(_) => Denied::always(capability),
    })
}

/// The value of an environment variable that was granted. Names are compared byte for byte.
///
/// # Errors
/// When it was not granted.
pub fn environment<'grants>(
    granted: &'grants [(String, String)],
    name: &str,
) -> Result<&'grants str, Denied> {
    let found = granted.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str()).ok_or_else(|| {
        match format!("env={name}").parse::<Permission>() {
            Ok(permission) => Denied::needs(&permission, name),
            Err(_) => Denied::always(name),
        }
    })
}

#[cfg(test)]
mod tests;
