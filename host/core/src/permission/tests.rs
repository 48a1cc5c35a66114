use proptest::prelude::*;

use super::*;
use crate::network::AddressRange;

fn read(text: &str) -> Permission {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_form_of_the_grammar_is_read_and_printed_in_its_canonical_form() {
    for (text, canonical) in [
        ("fs:ro", "fs:ro"),
        ("fs:ro=~/notes", "fs:ro=~/notes"),
        ("fs:rw=/data=~/notes/", "fs:rw=/data=~/notes"),
        ("fs:rw+exec=/srv//code/./x", "fs:rw+exec=/srv/code/x"),
        ("fs:git", "fs:git"),
        ("fs:git=~/src/", "fs:git=~/src"),
        ("fs:git=/data=/srv/x", "fs:git=/data=/srv/x"),
        ("fs:ro=/data=", "fs:ro=/data="),
        ("fs:ro=/", "fs:ro=/"),
        ("fs:ro=.", "fs:ro=."),
        ("fs:ro=./~odd", "fs:ro=./~odd"),
        ("fs:ro=../up", "fs:ro=../up"),
        (r"fs:ro=/a\=b=/c\\d", r"fs:ro=/a\=b=/c\\d"),
        ("fs:ro=/with space", "fs:ro=/with space"),
        ("net=HTTPS://API.Example.org:443/v1/", "net=https://api.example.org/v1"),
        ("net=POST,get http://*.Example.org.", "net=GET,POST http://*.example.org"),
        ("net=http://[::ffff:10.0.0.1]:8080", "net=http://10.0.0.1:8080"),
        ("net-range=10.0.0.0/8", "net-range=10.0.0.0/8"),
        ("net-range=fd00::1", "net-range=fd00::1/128"),
        ("env=LANG", "env=LANG"),
        ("env=OPTIONS=a=b c", "env=OPTIONS=a=b c"),
        ("env=EMPTY=", "env=EMPTY="),
        ("clock", "clock"),
        ("random", "random"),
        ("kv=8192KiB", "kv=8MiB"),
        ("kv=1000", "kv=1000"),
        ("index=1024MiB", "index=1GiB"),
        ("call=filesystem.*", "call=filesystem.*"),
        ("call=*", "call=*"),
        (r"call=filesystem.read path=~/my\ notes/**", r"call=filesystem.read path=~/my\ notes/**"),
        ("stdout=64KiB", "stdout=64KiB"),
        ("log=1GiB", "log=1GiB"),
    ] {
        assert_eq!(read(text).to_string(), canonical, "{text}");
        assert_eq!(read(canonical), read(text), "{text}");
    }
}

#[test]
fn what_is_not_a_permission_is_refused() {
    let long = format!("fs:ro=/{}", "a".repeat(PERMISSION_BYTES_MAX));
    let long_path = format!("fs:ro=/{}", "a".repeat(PATH_BYTES_MAX));
    for text in [
        "",
        " ",
        "fs",
        "fs:",
        "fs:wx=/a",
        "fs:ro=",
        "fs:git=",
        "fs:git+exec=/a",
        "fs:ro=relative=/a",
        "fs:ro=/a/../b=/c",
        "fs:ro==/a",
        "fs:ro=/a=/b=/c",
        r"fs:ro=/a\",
        r"fs:ro=/a\n",
        "fs:ro=~root/x",
        "fs:ro=/a\0b",
        "fs:ro=/a\nb",
        " fs:ro=/a",
        "FS:RO=/a",
        "net",
        "net=",
        "net=example.org",
        "net=ftp://example.org",
        "net-range",
        "net-range=10.0.0.1/8",
        "net-range=10.0.0.0/33",
        "net-range=::ffff:10.0.0.0/104",
        "net-range=10.0.0.0/08",
        "net-range=10.0.0.0/+8",
        "env",
        "env=",
        "env==x",
        "env=1A",
        "env=A-B",
        "env=A B",
        "clock=",
        "clock=yes",
        "kv",
        "kv=",
        "kv=0",
        "kv=-1",
        "kv=+1",
        "kv=1.5MiB",
        "kv=8MB",
        "kv=8 MiB",
        "kv=2000GiB",
        "kv=99999999999999999999",
        "call",
        "call=",
        "call=git*",
        "call=*.log",
        "call=a b",
        "call=git.log path",
        "call=git.log path=",
        "call=git.log =x",
        "call=git.log path=a***b",
        r"call=git.log path=a\",
        "call=git.log a-b=1 a_b=2",
        "call=git.log  path=x",
        "log",
        "everything",
        &long,
        &long_path,
        &format!("call=a.b{}", " x=y".repeat(2)),
    ] {
        assert!(text.parse::<Permission>().is_err(), "{text:?} must be refused");
    }
}

#[test]
fn an_error_says_what_to_write_and_repeats_only_a_bounded_printable_piece() {
    let error = "fs:r=/a".parse::<Permission>().unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `fs:ro`?"));
    let error = format!("x\u{202e}{}", "y".repeat(5_000)).parse::<Permission>().unwrap_err();
    assert!(error.text.len() < 200 && !error.to_string().contains('\u{202e}'));
    let error = "kv=8MB".parse::<Permission>().unwrap_err();
    assert!(error.hint.is_some_and(|hint| hint.contains("8MiB")));
}

#[test]
fn a_permission_covers_what_is_not_more() {
    for (own, other, expected) in [
        ("fs:ro=/a", "fs:ro=/a", true),
        ("fs:ro=/a", "fs:ro=/a/b", true),
        ("fs:ro=/", "fs:ro=/a/b", true),
        ("fs:ro=/a", "fs:ro=/ab", false),
        ("fs:ro=/a/b", "fs:ro=/a", false),
        ("fs:ro=/a", "fs:ro=/a/../b", false),
        ("fs:rw=/a", "fs:ro=/a", true),
        ("fs:ro=/a", "fs:rw=/a", false),
        ("fs:rw=/a", "fs:rw+exec=/a", false),
        ("fs:git=/a", "fs:ro=/a/b", true),
        ("fs:git=/a", "fs:git=/a/b", true),
        ("fs:git=/a", "fs:rw=/a", false),
        ("fs:ro=/a", "fs:git=/a", false),
        ("fs:rw=/a", "fs:git=/a", true),
        ("fs:git", "fs:ro=/a", true),
        ("fs:rw", "fs:git=/a", true),
        ("fs:ro", "fs:ro=/a", true),
        ("fs:ro", "fs:rw=/a", false),
        ("fs:rw", "fs:ro=/a", true),
        ("fs:ro=/a", "fs:ro", true),
        ("fs:ro=/data=/a", "fs:ro", true),
        ("fs:ro=/data=", "fs:ro=/data=/a", true),
        ("fs:ro=/data=", "fs:ro=/other=/a", false),
        ("fs:ro=/data=/a", "fs:ro=/data=/a", true),
        ("fs:ro=/data=/a", "fs:ro=/data=/a/b", false),
        ("fs:ro=/data=/a", "fs:ro=/a", false),
        ("fs:ro=/a", "fs:ro=/data=/a", false),
        ("net=https://*.example.org", "net=https://api.example.org", true),
        ("net=https://*.example.org", "net=https://example.org", false),
        ("net=https://*.example.org", "net=https://*.a.example.org", true),
        ("net=https://*.a.example.org", "net=https://*.example.org", false),
        ("net=https://a.example.org", "net=GET https://a.example.org", true),
        ("net=GET https://a.example.org", "net=https://a.example.org", false),
        ("net=GET,POST https://a.example.org", "net=GET https://a.example.org", true),
        ("net=https://a.example.org/v1", "net=https://a.example.org/v1/x", true),
        ("net=https://a.example.org/v1", "net=https://a.example.org/v1x", false),
        ("net=https://a.example.org/v1", "net=https://a.example.org", false),
        ("net=https://a.example.org", "net=http://a.example.org", false),
        ("net=https://a.example.org", "net=https://a.example.org:8443", false),
        ("net-range=10.0.0.0/8", "net-range=10.1.0.0/16", true),
        ("net-range=10.1.0.0/16", "net-range=10.0.0.0/8", false),
        ("net-range=0.0.0.0/0", "net-range=::/0", false),
        ("env=LANG", "env=LANG=C", true),
        ("env=LANG=C", "env=LANG", false),
        ("env=LANG=C", "env=LANG=D", false),
        ("env=LANG", "env=lang", false),
        ("kv=8MiB", "kv=4MiB", true),
        ("kv=4MiB", "kv=8MiB", false),
        ("stdout=4MiB", "log=1", false),
        ("clock", "clock", true),
        ("clock", "random", false),
        ("call=*", "call=git.log", true),
        ("call=git.*", "call=git.log", true),
        ("call=git.*", "call=git.*", true),
        ("call=git.*", "call=*", false),
        ("call=git.*", "call=github.push", false),
        ("call=git.log", "call=git.*", false),
        ("call=git", "call=git.log", false),
        ("call=git.logs.*", "call=git.log", false),
        ("call=git.log", "call=git.repository.log", true),
        ("call=git.repository.log", "call=git.log", true),
        ("call=git.repository.*", "call=git.log", true),
        ("call=git.repository.*", "call=git.*", false),
        ("call=git.log", "call=git.repository.*", false),
        ("call=my_plugin.run", "call=my-plugin.run", false),
        ("call=my-plugin.run", "call=my_plugin.run", true),
        ("call=fs.read", "call=fs.read path=/a/**", true),
        ("call=fs.read path=/a/**", "call=fs.read", false),
        ("call=fs.read path=/a/**", "call=fs.read path=/a/b", true),
        ("call=fs.read path=/a/**", "call=fs.read path=/a/../b", false),
        ("call=fs.read path=/a/**", "call=fs.read path=/a/** mode=x", true),
        ("call=fs.read path=/a/**", "call=fs.read path=/b/**", false),
    ] {
        assert_eq!(read(own).covers(&read(other)), expected, "{own} covers {other}");
    }
}

#[test]
fn documents_to_search_in_have_a_size() {
    for text in ["index", "index=", "index=0", "index=notes", "index=2000GiB"] {
        assert!(text.parse::<Permission>().is_err(), "{text:?} must be refused");
    }
    let covers = |own, other| read(own).covers(&read(other));
    assert!(covers("index=2GiB", "index=1GiB") && !covers("index=1GiB", "index=2GiB"));
    assert!(!covers("index=1GiB", "kv=1") && !covers("kv=1GiB", "index=1"));
}

#[test]
fn risk_follows_what_can_happen() {
    for (text, risk) in [
        ("fs:ro=/a", Risk::Low),
        ("env=LANG", Risk::Low),
        ("kv=1MiB", Risk::Low),
        ("index=1GiB", Risk::Low),
        ("fs:git=/a", Risk::Medium),
        ("fs:rw=/a", Risk::Medium),
        ("net=https://example.org", Risk::Medium),
        ("fs:rw+exec=/a", Risk::High),
        ("net=http://127.0.0.1:8080", Risk::High),
        ("net-range=10.0.0.0/8", Risk::High),
        ("call=git.log", Risk::High),
    ] {
        assert_eq!(read(text).risk(), risk, "{text}");
    }
    for writing in ["fs:rw=/a", "fs:git=/a"] {
        let together = [read(writing), read("net=https://example.org")];
        assert_eq!(risk_of(&together), Risk::High, "{writing}");
    }
    let apart = [read("fs:ro=/a"), read("net=https://example.org")];
    assert_eq!(risk_of(&apart), Risk::Medium);
    assert_eq!(risk_of(&[]), Risk::Low);
}

#[test]
fn words_for_a_review_are_plain() {
    for (text, words) in [
        ("fs:ro=~/notes", "read files in ~/notes"),
        ("fs:ro", "read files in a folder that you choose"),
        (
            "fs:rw=/data=/srv/x",
            "read, change and delete files in /srv/x (which it sees as /data), except those through \
             which other programs execute",
        ),
        (
            "fs:git=~/src",
            "read files in ~/src, and write and delete objects and branches of its git repositories",
        ),
        ("net=GET https://api.example.org/v1", "requests to https://api.example.org:443/v1 (GET)"),
        ("net=http://*.example.org:81", "requests to http://*.example.org:81 (all methods)"),
        ("kv=8MiB", "keep up to 8 MiB in a key-value store"),
        ("index=1GiB", "keep up to 1 GiB of documents to search in"),
        ("log=1000", "write up to 1000 bytes of log text in a call"),
        ("call=git.*", "call every capability below git.*"),
        (
            "call=filesystem.read path=~/notes/**",
            "call filesystem.read where path is like ~/notes/**",
        ),
        ("fs:ro=/a\u{202e}b", "read files in /a\u{fffd}b"),
    ] {
        assert_eq!(read(text).describe(), words, "{text}");
    }
}

#[test]
fn home_and_working_folder_make_a_permission_concrete() {
    for (text, expected) in [
        ("fs:ro=~", "fs:ro=/home/me"),
        ("fs:ro=~/notes", "fs:ro=/home/me/notes"),
        ("fs:ro=/data=notes", "fs:ro=/data=/work/notes"),
        ("fs:ro=./~odd", "fs:ro=/work/~odd"),
        ("fs:ro=/abs", "fs:ro=/abs"),
        ("call=fs.read path=~/n/**", "call=fs.read path=/home/me/n/**"),
        ("call=fs.read path=~x", "call=fs.read path=~x"),
        ("clock", "clock"),
    ] {
        let absolute = read(text).absolute("/work", "/home/me").unwrap();
        assert_eq!(absolute.to_string(), expected, "{text}");
        assert!(absolute.is_concrete(), "{text}");
    }
    let odd = read("call=fs.read path=~/n/**").absolute("/", "/home/a *b").unwrap();
    assert_eq!(odd.to_string(), r"call=fs.read path=/home/a\ \*b/n/**");
    for open in ["fs:ro", "fs:ro=~/a", "fs:ro=a", "fs:ro=/a/../b", "call=fs.read path=~/x"] {
        assert!(!read(open).is_concrete(), "{open}");
    }
    let long = "/h".repeat(PATH_BYTES_MAX);
    assert!(read("fs:ro=~/notes").absolute("/", &long).is_err());
}

#[test]
fn sizes_have_one_shortest_spelling() {
    for (text, bytes) in
        [("1", Some(1)), ("1KiB", Some(1024)), ("1024GiB", Some(1 << 40)), ("1025GiB", None)]
    {
        assert_eq!(parse_size(text), bytes, "{text}");
    }
    assert_eq!(format_size(1536), "1536");
    assert_eq!(format_size(2 * 1024 * 1024), "2MiB");
}

fn path() -> impl Strategy<Value = String> {
    r"(/[a-zA-Z0-9 =\\~.*é-]{1,8}){1,4}"
        .prop_filter("plain", |path| !path.split('/').any(|segment| matches!(segment, "." | "..")))
}

fn permission() -> impl Strategy<Value = Permission> {
    let mode = proptest::sample::select(vec![
        FolderMode::Ro,
        FolderMode::Git,
        FolderMode::Rw,
        FolderMode::RwExec,
    ]);
    let size = 1..(1u64 << 40);
    let range = (any::<u32>(), 0u8..=32).prop_map(|(bits, prefix)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let address = std::net::Ipv4Addr::from_bits(bits & mask);
        AddressRange { address: address.into(), prefix }
    });
    prop_oneof![
        (mode, proptest::option::of(path()), proptest::option::of(path()))
            .prop_map(|(mode, guest, host)| Permission::Folder { mode, guest, host }),
        range.prop_map(Permission::NetworkRange),
        ("[A-Z_][A-Z0-9_]{0,8}", proptest::option::of("[ -~é]{0,12}"))
            .prop_map(|(name, value)| Permission::Environment { name, value }),
        size.clone().prop_map(|bytes| Permission::KeyValue { bytes }),
        size.prop_map(|bytes| Permission::Log { bytes }),
        ("[a-z]{1,5}\\.[a-z_]{1,5}", r"([a-z/*~]|\\[ *\\]){1,6}")
            .prop_filter("a glob", |(_, glob)| glob::check(glob).is_ok())
            .prop_map(|(capability, glob)| {
                let arguments = vec![("path".to_owned(), glob)];
                Permission::Call(CallRule { capability, arguments })
            }),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(permission in permission()) {
        let text = permission.to_string();
        prop_assert_eq!(text.parse::<Permission>(), Ok(permission));
    }

    #[test]
    fn a_permission_covers_itself(permission in permission()) {
        prop_assert!(permission.covers(&permission));
        prop_assert!(!permission.describe().is_empty());
    }

    #[test]
    fn no_text_panics_and_what_is_read_prints_canonically(
        kind in "(fs:ro=|fs:rw=|net=|net=GET https://|net-range=|env=|kv=|call=|)",
        rest in any::<String>(),
    ) {
        if let Ok(permission) = format!("{kind}{rest}").parse::<Permission>() {
            let canonical = permission.to_string();
            prop_assert_eq!(canonical.parse::<Permission>(), Ok(permission));
        }
    }
}

#[test]
fn a_model_is_named_and_never_a_path_or_an_address() {
    let granted: Permission = "model=ppocr-det".parse().unwrap();
    assert_eq!(granted.to_string(), "model=ppocr-det");
    assert!(granted.covers(&"model=ppocr-det".parse().unwrap()));
    assert!(!granted.covers(&"model=ppocr-rec".parse().unwrap()));
    assert_eq!(granted.describe(), "run the model ppocr-det");
    let long = format!("model={}", "a".repeat(65));
    for bad in [
        "model",
        "model=",
        "model=../x",
        "model=/x",
        "model=A",
        "model=1a",
        "model=*",
        "model=a b",
        "model=https://x",
        long.as_str(),
    ] {
        assert!(bad.parse::<Permission>().is_err(), "{bad}");
    }
}
