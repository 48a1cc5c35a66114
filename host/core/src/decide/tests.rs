use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::permission::CallRule;

fn parsed(texts: &[&str]) -> Vec<NetworkRule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn rules(texts: &[&str]) -> NetworkRules {
    NetworkRules::new(&parsed(texts))
}

fn call_rules(texts: &[&str]) -> Vec<CallRule> {
    let rule = |text: &&str| match format!("call={text}").parse().unwrap() {
        Permission::Call(rule) => rule,
        other => panic!("{other}"),
    };
    texts.iter().map(rule).collect()
}

fn calls(texts: &[&str]) -> CallRules {
    CallRules::new(&call_rules(texts))
}

#[test]
fn a_request_is_allowed_by_a_rule_that_fits() {
    let written = parsed(&["GET https://api.example.org/v1", "http://*.example.org:8080"]);
    let rules = NetworkRules::new(&written);
    let decided = request(&rules, "HTTPS", "API.example.org.", None, "GET", "/v1/x").unwrap();
    assert_eq!(decided, &written[0]);
    let decided = request(&rules, "http", "b.example.org", Some(8080), "DELETE", "/").unwrap();
    assert_eq!(decided, &written[1]);
}

proptest! {
    #[test]
    fn rules_in_order_allow_what_one_of_them_allows(
        hosts in prop::collection::vec("(\\*\\.)?[ab]\\.[ab]\\.org|10\\.0\\.0\\.[12]", 0..12),
        paths in prop::collection::vec("(/[xy])?", 12),
        host in "([abAB]\\.){1,3}org|10\\.0\\.0\\.[123]",
        path in "/[xyz]",
    ) {
        let written: Vec<NetworkRule> = hosts
            .iter()
            .zip(&paths)
            .map(|(host, path)| format!("https://{host}{path}").parse().unwrap())
            .collect();
        let wanted = Request {
            scheme: Scheme::Https,
            host: Host::parse(&host).unwrap(),
            port: 443,
            method: "GET",
            path: &path,
        };
        let rules = NetworkRules::new(&written);
        match request(&rules, "https", &host, None, "GET", &path).cloned() {
            Ok(rule) => prop_assert!(written.contains(&rule) && rule.allows(&wanted)),
            Err(_) => prop_assert!(!written.iter().any(|rule| rule.allows(&wanted))),
        }
    }
}

#[test]
fn a_denied_request_names_the_permission_that_would_allow_it() {
    for (scheme, host, port, method, permission) in [
        ("https", "API.example.org", None, "GET", Some("net=GET https://api.example.org")),
        ("http", "a.org", Some(81), "POST", Some("net=POST http://a.org:81")),
        ("http", "127.0.0.1", Some(81), "GET", Some("net=GET http://127.0.0.1:81")),
        ("http", "[::1]", None, "GET", Some("net=GET http://[::1]")),
        ("https", "a.org", None, "CONNECT", None),
        ("https", "a.org", None, "get x\r\n", None),
        ("ftp", "a.org", None, "GET", None),
        ("https", "0x7f.1", None, "GET", None),
        ("https", "", None, "GET", None),
    ] {
        let denied =
            request(&NetworkRules::default(), scheme, host, port, method, "/").unwrap_err();
        assert_eq!(denied.permission.as_deref(), permission, "{scheme} {host} {method}");
    }
    let long = "a".repeat(10_000) + "\u{202e}";
    let denied = request(&NetworkRules::default(), "https", &long, None, "GET", "/").unwrap_err();
    assert!(denied.target.len() < 1_000);
}

#[test]
fn connect_is_never_allowed() {
    let rules = rules(&["https://example.org"]);
    assert!(request(&rules, "https", "example.org", None, "CONNECT", "/").is_err());
    assert!(request(&rules, "https", "example.org", None, "TRACE", "/").is_ok());
}

#[test]
fn an_address_that_is_not_public_needs_its_own_grant() {
    let rule = &parsed(&["https://api.example.org"])[0];
    for (range, ip, expected) in [
        (None, "1.1.1.1", true),
        (None, "127.0.0.1", false),
        (None, "::ffff:127.0.0.1", false),
        (None, "10.1.1.1", false),
        (None, "169.254.169.254", false),
        (None, "64:ff9b::a00:1", false),
        (Some("10.0.0.0/8"), "10.1.1.1", true),
        (Some("10.0.0.0/8"), "::ffff:10.1.1.1", true),
        (Some("10.0.0.0/8"), "192.168.1.1", false),
        (Some("169.254.0.0/16"), "169.254.1.1", true),
        (Some("169.254.0.0/16"), "169.254.169.254", false),
        (Some("0.0.0.0/0"), "169.254.169.254", false),
        (Some("169.254.169.254"), "169.254.169.254", true),
        (Some("::/0"), "::1", true),
        (Some("::/0"), "fd00:ec2::254", false),
    ] {
        let ranges: Vec<AddressRange> = range.iter().map(|range| range.parse().unwrap()).collect();
        let decided = address(ip.parse().unwrap(), rule, &ranges);
        assert_eq!(decided.is_ok(), expected, "{range:?} {ip}");
        if let Err(denied) = decided {
            assert!(!denied.target.contains(ip), "the address is not told");
        }
    }
}

#[test]
fn a_rule_that_names_an_address_grants_that_address_only() {
    let rule = &parsed(&["http://127.0.0.1:8080"])[0];
    assert!(address("127.0.0.1".parse().unwrap(), rule, &[]).is_ok());
    assert!(address("::ffff:127.0.0.1".parse().unwrap(), rule, &[]).is_ok());
    assert!(address("127.0.0.2".parse().unwrap(), rule, &[]).is_err());
}

#[test]
fn a_call_needs_a_rule_and_its_arguments() {
    let rules = calls(&["git.*", "filesystem.read path=/n/** deep=true", "my-tool.run"]);
    for (capability, input, expected) in [
        ("git.log", json!({}), true),
        ("git.log.x", json!({}), true),
        ("git", json!({}), false),
        ("github.push", json!({}), false),
        ("my_tool.run", json!({}), true),
        ("my-tool.run", json!({}), true),
        ("filesystem.read", json!({"path": "/n/a", "deep": true}), true),
        ("filesystem.read", json!({"path": "/n/a", "deep": false}), false),
        ("filesystem.read", json!({"path": "/n/a"}), false),
        ("filesystem.read", json!({"path": "/n/../etc/x", "deep": true}), false),
        ("filesystem.read", json!({"path": "/etc/x", "deep": true}), false),
        ("filesystem.read", json!({"path": ["/n/a"], "deep": true}), false),
        ("filesystem.read", json!([]), false),
        ("filesystem.read", json!(null), false),
        ("filesystem.write", json!({"path": "/n/a", "deep": true}), false),
    ] {
        assert_eq!(call(&rules, capability, &input).is_ok(), expected, "{capability} {input}");
    }
    let denied = call(&rules, "ocr.recognize", &json!({})).unwrap_err();
    assert_eq!(denied.permission.as_deref(), Some("call=ocr.recognize"));
    assert_eq!(call(&rules, "not an id", &json!({})).unwrap_err().permission, None);
}

#[test]
fn a_parameter_given_twice_must_match_twice() {
    let rules = calls(&["filesystem.read file-path=/n/*"]);
    let one = json!({"file_path": "/n/a"});
    assert!(call(&rules, "filesystem.read", &one).is_ok());
    let two = json!({"file_path": "/n/a", "file-path": "/etc/passwd"});
    assert!(call(&rules, "filesystem.read", &two).is_err());
}

proptest! {
    /// Rules in order decide as each of them would by itself.
    #[test]
    fn the_order_of_rules_does_not_matter(
        written in proptest::collection::vec(
            "(git\\.b|git\\.repository\\.c|git\\.\\*|\\*)( x-y=(1|2|\\*\\*|1\\*))?( z=(true|1))?",
            0..6),
        capability in "git\\.(repository\\.)?[bc]",
        values in proptest::collection::vec("1|2|12|true", 3),
        present in any::<[bool; 3]>(),
    ) {
        let texts: Vec<&str> = written.iter().map(String::as_str).collect();
        let mut input = serde_json::Map::new();
        for ((name, value), _) in
            ["x_y", "x-y", "z"].into_iter().zip(&values).zip(present).filter(|(_, here)| *here)
        {
            let value = if value == "true" { json!(true) } else { json!(value) };
            input.insert(name.to_owned(), value);
        }
        let input = Value::Object(input);
        let single = call_rules(&texts).iter().any(|rule| rule.allows(&capability, &input));
        prop_assert_eq!(call(&calls(&texts), &capability, &input).is_ok(), single);
    }
}

#[test]
fn a_variable_is_given_or_denied() {
    let granted = [("LANG".to_owned(), "C".to_owned())];
    assert_eq!(environment(&granted, "LANG"), Ok("C"));
    assert_eq!(environment(&granted, "HOME").unwrap_err().permission.as_deref(), Some("env=HOME"));
    assert_eq!(
        environment(&granted, "A=B").unwrap_err().at("f").permission.as_deref(),
        Some("env=A=B")
    );
}
