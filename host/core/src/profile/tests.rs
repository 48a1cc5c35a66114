use serde::Deserialize;

use super::*;
use crate::{
    decide,
    network::NetworkRules,
    permission::{CallRule, CallRules},
};

/// One line of a table in `policies/cases`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileCases {
    cases: Vec<ProfileCase>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileCase {
    ask: Permission,
    granted_by: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestCases {
    cases: Vec<RequestCase>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestCase {
    granted: Vec<Permission>,
    request: String,
    leads_to: Option<std::net::IpAddr>,
    allowed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallCases {
    cases: Vec<CallCase>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallCase {
    granted: Vec<Permission>,
    call: String,
    input: toml::Table,
    allowed: bool,
}

#[test]
fn the_shipped_profiles_are_right() {
    for name in Profile::names() {
        let profile = Profile::shipped(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(profile.name, name);
        assert!(!profile.description.is_empty() && !profile.permissions.is_empty());
    }
    assert_eq!(Profile::shipped("root"), None);
}

#[test]
fn profiles_grant_what_their_table_says() {
    let text = include_str!("../../../../policies/cases/profiles.toml");
    for case in toml::from_str::<ProfileCases>(text).unwrap().cases {
        let granting: Vec<&str> = Profile::names()
            .filter(|name| Profile::shipped(name).unwrap().grants(&case.ask))
            .collect();
        assert_eq!(granting, case.granted_by, "{}", case.ask);
    }
}

#[test]
fn requests_are_decided_as_their_table_says() {
    let text = include_str!("../../../../policies/cases/requests.toml");
    for case in toml::from_str::<RequestCases>(text).unwrap().cases {
        let rules: Vec<_> = case
            .granted
            .iter()
            .filter_map(|one| match one {
                Permission::Network(rule) => Some(rule.clone()),
                _ => None,
            })
            .collect();
        let ranges: Vec<_> = case
            .granted
            .iter()
            .filter_map(|one| match one {
                Permission::NetworkRange(range) => Some(range.clone()),
                _ => None,
            })
            .collect();
        let (method, url) = case.request.split_once(' ').unwrap();
        let (scheme, rest) = url.split_once("://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().unwrap())),
            _ => (host, None),
        };
        let rules = NetworkRules::new(&rules);
        let decided = decide::request(&rules, scheme, host, port, method, path);
        let decided = decided.and_then(|rule| match case.leads_to {
            Some(address) => decide::address(address, rule, &ranges),
            None => Ok(()),
        });
        assert_eq!(decided.is_ok(), case.allowed, "{case:?} {decided:?}");
    }
}

#[test]
fn calls_are_decided_as_their_table_says() {
    let text = include_str!("../../../../policies/cases/calls.toml");
    for case in toml::from_str::<CallCases>(text).unwrap().cases {
        let rules: Vec<CallRule> = case
            .granted
            .iter()
            .filter_map(|one| match one {
                Permission::Call(rule) => Some(rule.clone()),
                _ => None,
            })
            .collect();
        let input = serde_json::to_value(&case.input).unwrap();
        let decided = decide::call(&CallRules::new(&rules), &case.call, &input);
        assert_eq!(decided.is_ok(), case.allowed, "{case:?}");
    }
}

#[test]
fn a_profile_selects_from_the_asks_and_never_widens() {
    let reader = Profile::shipped("reader").unwrap();
    let ask = |text: &str| Ask {
        permission: text.parse().unwrap(),
        reason: "x".to_owned(),
        optional: false,
    };
    let asks = [ask("fs:ro"), ask("fs:rw"), ask("kv=1MiB"), ask("kv=1GiB"), ask("call=git.log")];
    let selected: Vec<String> =
        reader.select(Some(&asks)).iter().map(ToString::to_string).collect();
    assert_eq!(selected, ["fs:ro", "kv=1MiB"]);
    assert_eq!(reader.select(None), reader.permissions);
    assert!(reader.select(Some(&[])).is_empty());
}

#[test]
fn a_profile_lists_nothing_harmful() {
    let head = "name = \"x\"\ndescription = \"x\"\n";
    for listed in ["fs:rw=/a", "fs:ro", "net=https://a.org", "call=*", "nothing"] {
        let text = format!("{head}permissions = [\"{listed}\"]");
        assert_eq!(Profile::parse("x", &text).unwrap_err().line, 3, "{listed}");
    }
}
