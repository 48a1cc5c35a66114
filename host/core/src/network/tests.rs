use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn rule(text: &str) -> NetworkRule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn host(pattern: &str, name: &str) -> bool {
    let pattern: HostPattern = pattern.parse().unwrap();
    Host::parse(name).is_some_and(|host| pattern.matches(&host))
}

#[test]
fn a_pattern_covers_its_hosts_and_no_look_alike() {
    for (pattern, name, expected) in [
        ("example.org", "example.org", true),
        ("example.org", "EXAMPLE.org.", true),
        ("Example.ORG.", "example.org", true),
        ("example.org", "a.example.org", false),
        ("example.org", "example.org..", false),
        ("example.org", "example.org.evil.com", false),
        ("example.org", "evilexample.org", false),
        ("*.example.org", "a.example.org", true),
        ("*.example.org", "A.B.Example.Org.", true),
        ("*.example.org", "example.org", false),
        ("*.example.org", ".example.org", false),
        ("*.example.org", "evilexample.org", false),
        ("*.example.org", "example.org.evil.com", false),
        ("*.example.org", "a.example.org.evil.com", false),
        ("*.example.org", "a..example.org", false),
        ("*.example.org", "a.example.org:443", false),
        ("*.example.org", "a@b.example.org", false),
        ("*.example.org", "a b.example.org", false),
        ("*.example.org", "a%2eb.example.org", false),
        ("*.example.org", "a\0.example.org", false),
        ("*.example.org", "é.example.org", false),
        ("bücher.example", "xn--bcher-kva.example", true),
        ("BÜCHER.example", "xn--bcher-kva.example", true),
        ("xn--bcher-kva.example", "bücher.example", false),
        ("faß.example", "fass.example", false),
        ("ｅｘａｍｐｌｅ.org", "example.org", true),
        ("a_b.example.org", "a_b.example.org", true),
        ("localhost", "localhost", true),
        ("10.0.0.7", "10.0.0.7", true),
        ("10.0.0.7", "10.0.0.7.", true),
        ("10.0.0.7", "::ffff:10.0.0.7", true),
        ("10.0.0.7", "[::ffff:a00:7]", true),
        ("10.0.0.7", "10.0.0.07", false),
        ("10.0.0.7", "0x0a.0.0.7", false),
        ("10.0.0.7", "167772167", false),
        ("10.0.0.7", "10.7", false),
        ("[::1]", "::1", true),
        ("[::1]", "[0:0:0:0:0:0:0:1]", true),
        ("[::1]", "[::1%lo]", false),
        ("[::ffff:10.0.0.7]", "10.0.0.7", true),
    ] {
        assert_eq!(host(pattern, name), expected, "{pattern} ~ {name}");
    }
}

#[test]
fn a_host_of_a_request_has_one_reading_or_none() {
    let label = "a".repeat(64);
    let long = format!("{}org", "abcdefgh.".repeat(30));
    for odd in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.0x4",
        "a.0x",
        "a.1",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "[]",
        "[::1]:80",
        "a/b",
        "a\\b",
        "a?b",
        "a#b",
        "*.example.org",
        "exa mple.org",
        "ex\tample.org",
        &label,
        &long,
    ] {
        assert_eq!(Host::parse(odd), None, "{odd:?} must have no reading");
    }
}

#[test]
fn odd_rules_are_refused_with_the_right_reason() {
    use NetworkRuleError as E;
    for (text, error) in [
        ("example.org", E::Scheme),
        ("ftp://example.org", E::Scheme),
        ("GET  https://example.org", E::Scheme),
        ("https://", E::Host),
        ("https:///path", E::Host),
        ("https://exa mple.org", E::Method),
        ("https://*", E::Wildcard),
        ("https://*.org", E::Wildcard),
        ("https://*.", E::Wildcard),
        ("https://a.*.org", E::Wildcard),
        ("https://*a.example.org", E::Wildcard),
        ("https://*.10.0.0.1", E::Wildcard),
        ("https://*.*.example.org", E::Wildcard),
        ("https://0x7f.1", E::OddAddress),
        ("https://127.1", E::OddAddress),
        ("https://2130706433", E::OddAddress),
        ("https://0177.0.0.1", E::OddAddress),
        ("https://[127.0.0.1]", E::OddAddress),
        ("https://[::1", E::OddAddress),
        ("https://example.org:", E::Port),
        ("https://example.org:0", E::Port),
        ("https://example.org:65536", E::Port),
        ("https://example.org:+80", E::Port),
        ("https://example.org:080808", E::Port),
        ("CONNECT https://example.org", E::Method),
        ("GET,GET https://example.org", E::Method),
        ("GET, https://example.org", E::Method),
        ("G/T https://example.org", E::Method),
        ("https://user@example.org", E::Form),
        ("https://example.org?x", E::Form),
        ("https://example.org#x", E::Form),
        ("https://example.org\\x", E::Form),
        ("https://example.org/a?b", E::Path),
        ("https://example.org/a#b", E::Path),
        ("https://example.org/a/../b", E::Path),
        ("https://example.org/./b", E::Path),
        ("https://example.org/a//b", E::Path),
        ("https://example.org/%61", E::Path),
        ("https://example.org/a\\b", E::Path),
    ] {
        assert_eq!(text.parse::<NetworkRule>(), Err(error), "{text}");
    }
    let long = format!("https://example.org/{}", "a".repeat(RULE_BYTES_MAX));
    assert_eq!(long.parse::<NetworkRule>(), Err(E::Form));
}

#[test]
fn a_path_prefix_goes_by_segments_and_by_one_reading() {
    for (prefix, request, expected) in [
        ("", "/anything/../at%2fall", true),
        ("", "", true),
        ("", "*", false),
        ("/v1", "/v1", true),
        ("/v1", "/v1/", true),
        ("/v1/", "/v1", true),
        ("/v1", "/v1/x/y", true),
        ("/v1", "/v1?query=/../x", true),
        ("/v1", "/v1#x", true),
        ("/v1", "/v1x", false),
        ("/v1", "/", false),
        ("/v1", "", false),
        ("/v1", "/V1", false),
        ("/v1", "//v1", false),
        ("/v1", "/v1/../admin", false),
        ("/v1", "/v1/..", false),
        ("/v1", "/v1/./x", false),
        ("/v1", "/v1/%2e%2e/admin", false),
        ("/v1", "/v1/%2E%2e/admin", false),
        ("/v1", "/v1/.%2e/admin", false),
        ("/v1", "/v1/..%2fadmin", false),
        ("/v1", "/v1%2fx", false),
        ("/v1", "/v1/x%5c..", false),
        ("/v1", "/v1/..;a=b/admin", false),
        ("/v1", "/v1/..%3b/admin", false),
        ("/v1", "/v1/%252e%252e/admin", false),
        ("/v1", "/v1/x%00", false),
        ("/v1", "/v1/a\\..\\b", false),
        ("/v1", "/v1/a b", false),
        ("/v1", "/v1/%20", true),
        ("/v1", "/v1/...", true),
        ("/v1", "/v1/a..b", true),
        ("/v1", "/%76%31", false),
    ] {
        let rule = rule(&format!("https://example.org{prefix}"));
        let request = Request {
            scheme: Scheme::Https,
            host: Host::parse("example.org").unwrap(),
            port: 443,
            method: "GET",
            path: request,
        };
        assert_eq!(rule.allows(&request), expected, "{prefix} ~ {}", request.path);
    }
}

fn check_classes(table: &[(&str, AddressClass)]) {
    for (address, class) in table {
        let parsed: IpAddr = address.parse().unwrap();
        assert_eq!(AddressClass::of(parsed), *class, "{address}");
    }
}

#[test]
fn every_ipv4_address_has_its_class() {
    use AddressClass as C;
    check_classes(&[
        ("1.1.1.1", C::Public),
        ("8.8.8.8", C::Public),
        ("172.15.0.1", C::Public),
        ("172.32.0.1", C::Public),
        ("100.63.0.1", C::Public),
        ("100.128.0.1", C::Public),
        ("192.167.0.1", C::Public),
        ("0.0.0.0", C::Unspecified),
        ("0.1.2.3", C::Unspecified),
        ("127.0.0.1", C::Loopback),
        ("127.255.255.254", C::Loopback),
        ("10.0.0.1", C::Private),
        ("172.16.0.1", C::Private),
        ("172.31.255.255", C::Private),
        ("192.168.1.1", C::Private),
        ("169.254.1.1", C::LinkLocal),
        ("169.254.169.254", C::Metadata),
        ("169.254.170.2", C::Metadata),
        ("100.100.100.200", C::Metadata),
        ("168.63.129.16", C::Metadata),
        ("192.0.0.192", C::Metadata),
        ("100.64.0.1", C::CarrierShared),
        ("100.127.255.255", C::CarrierShared),
        ("224.0.0.1", C::Multicast),
        ("239.255.255.255", C::Multicast),
        ("255.255.255.255", C::Broadcast),
        ("192.0.2.1", C::Documentation),
        ("198.51.100.1", C::Documentation),
        ("203.0.113.1", C::Documentation),
        ("192.0.0.1", C::Reserved),
        ("192.88.99.1", C::Reserved),
        ("198.18.0.1", C::Reserved),
        ("240.0.0.1", C::Reserved),
        ("255.255.255.254", C::Reserved),
    ]);
}

#[test]
fn every_ipv6_address_has_its_class() {
    use AddressClass as C;
    check_classes(&[
        ("2606:4700::1111", C::Public),
        ("2a00:1450::1", C::Public),
        ("::", C::Unspecified),
        ("::1", C::Loopback),
        ("fc00::1", C::Private),
        ("fdff::1", C::Private),
        ("fec0::1", C::Private),
        ("fe80::1", C::LinkLocal),
        ("febf::1", C::LinkLocal),
        ("fd00:ec2::254", C::Metadata),
        ("fd00:ec2::23", C::Metadata),
        ("fd20:ce::254", C::Metadata),
        ("ff02::1", C::Multicast),
        ("2001:db8::1", C::Documentation),
        ("3fff::1", C::Documentation),
        ("2001:10::1", C::Reserved),
        ("100::1", C::Reserved),
        ("5f00::1", C::Reserved),
        ("4000::1", C::Reserved),
    ]);
}

#[test]
fn an_address_that_carries_another_has_its_class() {
    use AddressClass as C;
    check_classes(&[
        ("::ffff:127.0.0.1", C::Loopback),
        ("::ffff:169.254.169.254", C::Metadata),
        ("::ffff:8.8.8.8", C::Public),
        ("::127.0.0.1", C::Loopback),
        ("::10.0.0.1", C::Private),
        ("::ffff:0:10.0.0.1", C::Private),
        ("64:ff9b::127.0.0.1", C::Loopback),
        ("64:ff9b::169.254.169.254", C::Metadata),
        ("64:ff9b::8.8.8.8", C::Public),
        ("64:ff9b:1::8.8.8.8", C::Private),
        ("2002:7f00:1::", C::Loopback),
        ("2002:a00:1::5", C::Private),
        ("2002:808:808::1", C::Public),
        ("2001:0:1:2:3:4:80ff:fffe", C::Loopback),
        ("2001:0:1:2:3:4:f5ff:fffe", C::Private),
        ("2606:4700::5efe:10.0.0.1", C::Private),
        ("fe80::200:5efe:127.0.0.1", C::Loopback),
    ]);
}

#[test]
fn ranges_hold_what_lies_inside() {
    for (range, address, expected) in [
        ("10.0.0.0/8", "10.255.1.2", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("10.0.0.0/8", "64:ff9b::10.1.1.1", false),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "1.2.3.4", false),
        ("::/0", "fe80::1", true),
        ("192.168.1.7", "192.168.1.7", true),
        ("192.168.1.7/32", "192.168.1.8", false),
        ("fd00::/8", "fdab::1", true),
        ("fd00::/8", "fe00::1", false),
        ("192.168.1.128/25", "192.168.1.127", false),
        ("192.168.1.128/25", "192.168.1.129", true),
    ] {
        let range: AddressRange = range.parse().unwrap();
        assert_eq!(range.contains(address.parse().unwrap()), expected, "{range} ~ {address}");
    }
    let error = "10.1.2.3/8".parse::<AddressRange>().unwrap_err();
    assert!(error.to_string().contains("10.0.0.0/8"), "{error}");
    for odd in ["", "/8", "10.0.0.0/", "10.0.0/8", "10.0.0.0/8/8", "010.0.0.0/8", "::1/129", "x/1"]
    {
        assert!(odd.parse::<AddressRange>().is_err(), "{odd}");
    }
}

proptest! {
    #[test]
    fn rules_are_read_back_as_printed(
        methods in "((GET|POST|HEAD) )?",
        scheme in "https?",
        host in "(\\*\\.)?[a-z]{1,5}\\.[a-z]{2,5}|[1-9][0-9]?\\.0\\.0\\.1|\\[fd00::[1-9]\\]",
        port in "(:[1-9][0-9]{0,3})?",
        path in "(/[a-z0-9.~-]{1,4}x){0,3}",
    ) {
        let read = rule(&format!("{methods}{scheme}://{host}{port}{path}"));
        prop_assert_eq!(rule(&read.to_string()), read.clone());
        prop_assert!(read.covers(&read));
    }

    #[test]
    fn no_text_panics(text in any::<String>(), path in any::<String>(), address in any::<IpAddr>()) {
        let _ = (Host::parse(&text), text.parse::<NetworkRule>(), text.parse::<AddressRange>());
        let _ = format!("https://{text}").parse::<NetworkRule>();
        let _ = (path::allows("/v1", &path), AddressClass::of(address));
        prop_assert!(AddressRange::one(address).contains(address));
    }

    #[test]
    fn a_range_ends_where_its_bits_end(bits in any::<u32>(), prefix in 0u8..=32, other in any::<u32>()) {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let first = std::net::Ipv4Addr::from_bits(bits & mask);
        let range: AddressRange = format!("{first}/{prefix}").parse().unwrap();
        let inside = other & mask == bits & mask;
        prop_assert_eq!(range.contains(std::net::Ipv4Addr::from_bits(other).into()), inside);
    }
}
