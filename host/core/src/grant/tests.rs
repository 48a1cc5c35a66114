use proptest::prelude::*;

use super::*;
use crate::{
    id::Digest,
    limits::{LimitsWanted, MIB},
    manifest::Manifest,
    permission::Permission,
};

const HEAD: &str = "[plugin]\nname = \"notes\"\nversion = \"0.1.0\"\ndescription = \"Notes.\"\n";

fn manifest(asks: &[&str], rest: &str) -> Manifest {
    let mut text = HEAD.to_owned();
    for ask in asks {
        text.push_str(&format!("[[asks]]\npermission = '{ask}'\nreason = \"x\"\n"));
    }
    Manifest::parse("plugin.toml", &format!("{text}{rest}")).unwrap()
}

fn entry(text: &str) -> GrantEntry {
    let permission: Permission = text.parse().unwrap();
    let folder = match &permission {
        Permission::Folder { host: Some(host), .. } => {
            Some(FolderIdentity { path: host.clone(), device: 1, inode: u64::MAX })
        }
        _ => None,
    };
    GrantEntry { permission, folder, granted_at: "2026-01-02T03:04:05Z".to_owned(), reveal: false }
}

fn grants(texts: &[&str]) -> GrantFile {
    let empty = GrantFile::empty("notes".parse().unwrap(), Digest::of(b"x"));
    GrantFile { entries: texts.iter().map(|text| entry(text)).collect(), ..empty }
}

fn environment(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/me".to_owned()),
        "LANG" => Some("C.UTF-8".to_owned()),
        "API_TOKEN" => Some("secret".to_owned()),
        _ => None,
    }
}

fn decide(manifest: Option<&Manifest>, grants: &GrantFile, ceiling: &Ceiling) -> Effective {
    effective(manifest, grants, ceiling, &environment)
}

fn shown(permissions: &[Permission]) -> Vec<String> {
    permissions.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_effective_is_asked_and_granted() {
    let manifest = manifest(&["fs:rw", "net=https://*.example.org", "clock", "env=LANG"], "");
    let grants = grants(&[
        "fs:ro=/home/me/notes",
        "net=https://api.example.org",
        "net=https://evil.org",
        "random",
        "env=LANG",
    ]);
    let result = decide(Some(&manifest), &grants, &Ceiling::DEFAULT);
    assert_eq!(result.grants.folders[0].guest, "/home/me/notes");
    assert_eq!(result.grants.folders[0].mode, FolderMode::Ro);
    assert_eq!(result.grants.network.len(), 1);
    assert_eq!(result.grants.environment, [("LANG".to_owned(), "C.UTF-8".to_owned())]);
    assert!(!result.grants.clock && !result.grants.random);
    let missing: Vec<_> = result.missing.iter().map(|ask| ask.permission.to_string()).collect();
    assert_eq!(
        missing,
        ["fs:rw", "net=https://*.example.org", "clock"],
        "less than asked is missing"
    );
    let refused: Vec<_> =
        result.refused.iter().map(|one| (one.permission.to_string(), one.reason)).collect();
    assert_eq!(
        refused,
        [
            ("net=https://evil.org".to_owned(), GrantRefusal::NotAsked),
            ("random".to_owned(), GrantRefusal::NotAsked),
        ]
    );
}

#[test]
fn nothing_asked_or_nothing_granted_is_nothing() {
    let asks = manifest(&["fs:ro", "clock"], "");
    assert_eq!(
        decide(Some(&asks), &grants(&[]), &Ceiling::DEFAULT).grants,
        EffectiveGrants::default()
    );
    let none = manifest(&[], "");
    let everything = grants(&["fs:ro=/a", "clock", "net=https://a.org", "call=*", "kv=1MiB"]);
    let result = decide(Some(&none), &everything, &Ceiling::DEFAULT);
    assert_eq!(result.grants, EffectiveGrants::default());
    assert_eq!(result.refused.len(), 5);
}

#[test]
fn a_component_without_a_manifest_gets_what_is_granted_by_hand() {
    let result = decide(None, &grants(&["fs:rw=/a", "clock", "call=git.*"]), &Ceiling::DEFAULT);
    assert!(result.grants.clock && result.refused.is_empty() && result.missing.is_empty());
    assert_eq!((result.grants.folders.len(), result.grants.calls.len()), (1, 1));
}

#[test]
fn a_folder_ask_is_covered_by_at_most_its_mode_and_place() {
    for (ask, granted, expected) in [
        ("fs:ro", "fs:ro=/any", true),
        ("fs:ro", "fs:rw=/any", false),
        ("fs:rw", "fs:ro=/any", true),
        ("fs:rw", "fs:git=/any", true),
        ("fs:git", "fs:git=/any", true),
        ("fs:git", "fs:ro=/any", true),
        ("fs:git", "fs:rw=/any", false),
        ("fs:ro", "fs:git=/any", false),
        ("fs:rw", "fs:rw+exec=/any", false),
        ("fs:ro=~/notes", "fs:ro=/home/me/notes", true),
        ("fs:ro=~/notes", "fs:ro=/home/me/notes/sub", true),
        ("fs:ro=~/notes", "fs:ro=/home/me", false),
        ("fs:ro=~/notes", "fs:ro=/home/you/notes", false),
        ("fs:ro=/data=", "fs:ro=/data=/any", true),
        ("fs:ro=/data=", "fs:ro=/any", false),
    ] {
        let manifest = manifest(&[ask], "");
        let result = decide(Some(&manifest), &grants(&[granted]), &Ceiling::DEFAULT);
        assert_eq!(result.grants.folders.len() == 1, expected, "{ask} {granted}");
    }
}

#[test]
fn the_ceiling_stands_above_all() {
    let ceiling = Ceiling {
        folders: Some(FolderMode::Ro),
        network: false,
        key_value_bytes: MIB,
        index_bytes: 2 * MIB,
        limits: Limits { output_bytes: 100, log_bytes: 0, ..Limits::CEILING },
        ..Ceiling::DEFAULT
    };
    let all = grants(&[
        "fs:rw=/a",
        "net=https://a.org",
        "kv=8MiB",
        "index=8MiB",
        "stdout=1KiB",
        "log=1",
        "clock",
    ]);
    let result = decide(None, &all, &ceiling);
    let left = ["fs:ro=/a", "kv=1MiB", "index=2MiB", "stdout=100", "clock"];
    assert_eq!(shown(&result.permissions), left);
    assert_eq!(result.grants.index_bytes, Some(2 * MIB));
    assert_eq!(result.refused.len(), 6, "{:?}", result.refused);
    assert!(result.refused.iter().all(|one| one.reason == GrantRefusal::AboveCeiling));
    assert!(result.grants.network.is_empty() && result.grants.log_bytes == 0);
    let none = Ceiling { folders: None, ..ceiling };
    assert!(decide(None, &all, &none).grants.folders.is_empty());
}

#[test]
fn a_wider_folder_answers_an_ask_for_commits_and_the_ceiling_cuts_it() {
    let asks = manifest(&["fs:ro", "fs:git"], "");
    let git = grants(&["fs:git=/a"]);
    let result = decide(Some(&asks), &git, &Ceiling::DEFAULT);
    assert_eq!(result.grants.folders[0].mode, FolderMode::Git);
    assert!(result.missing.is_empty(), "it covers the ask for reading too");
    for (highest, mode) in [
        (Some(FolderMode::Rw), Some(FolderMode::Git)),
        (Some(FolderMode::Git), Some(FolderMode::Git)),
        (Some(FolderMode::Ro), Some(FolderMode::Ro)),
        (None, None),
    ] {
        let ceiling = Ceiling { folders: highest, ..Ceiling::DEFAULT };
        let result = decide(Some(&asks), &git, &ceiling);
        assert_eq!(result.grants.folders.first().map(|folder| folder.mode), mode, "{highest:?}");
    }
    let wide = manifest(&["fs:git", "fs:rw"], "");
    let result = decide(Some(&wide), &grants(&["fs:rw=/a"]), &Ceiling::DEFAULT);
    assert!(result.missing.is_empty(), "{:?}", result.missing);
    let both = grants(&["fs:git=/a", "fs:ro=/a"]);
    let result = decide(Some(&asks), &both, &Ceiling::DEFAULT);
    assert_eq!(result.grants.folders[0].mode, FolderMode::Git, "the higher counts");
}

#[test]
fn secrets_in_the_environment_need_reveal() {
    let mut file = grants(&["env=API_TOKEN"]);
    let hidden = decide(None, &file, &Ceiling::DEFAULT);
    assert!(hidden.grants.environment.is_empty());
    assert_eq!(hidden.refused[0].reason, GrantRefusal::Secret);
    file.entries[0].reveal = true;
    let shown = decide(None, &file, &Ceiling::DEFAULT);
    assert_eq!(shown.grants.environment, [("API_TOKEN".to_owned(), "secret".to_owned())]);
}

#[test]
fn names_that_look_like_secrets_are_known() {
    for name in [
        "API_TOKEN",
        "GITHUB_PAT",
        "aws_secret_access_key",
        "DB_PASSWORD",
        "SSH_KEY",
        "APIKEY",
        "OPENAI_API_KEY",
        "AUTH",
        "DATABASE_URL",
        "SENTRY_DSN",
        "X_CREDENTIALS",
        "MYSQL_PWD",
    ] {
        assert!(looks_like_secret(name), "{name}");
    }
    for name in ["LANG", "TZ", "PWD", "HOME", "PATH", "KEYBOARD", "AUTHOR", "MONKEY", "EDITOR"] {
        assert!(!looks_like_secret(name), "{name}");
    }
}

#[test]
fn limits_are_wishes_below_grant_overlay_and_ceiling() {
    let wishes = manifest(&[], "[limits]\nfuel = 50\ndeadline_ms = 900_000\nhandles = 9\n");
    let mut file = grants(&[]);
    file.limits = LimitsWanted { fuel: Some(70), ..LimitsWanted::default() };
    let limits = decide(Some(&wishes), &file, &Ceiling::DEFAULT).limits;
    assert_eq!(limits.fuel, 70, "the operator's number counts");
    assert_eq!(limits.deadline_ms, Limits::CEILING.deadline_ms, "the ceiling counts");
    assert_eq!((limits.handles, limits.host_calls), (9, Limits::DEFAULT.host_calls));
    let tight = wishes.tightened("o", "[limits]\nfuel = 40").unwrap();
    assert_eq!(decide(Some(&tight), &file, &Ceiling::DEFAULT).limits.fuel, 40);
    let mut one_instance = wishes.clone();
    one_instance.stateful = true;
    file.limits.concurrency = Some(9);
    let limits = decide(Some(&one_instance), &file, &Ceiling::DEFAULT).limits;
    assert_eq!(limits.concurrency, 1, "one instance runs one call at a time");
}

#[test]
fn yes_grants_what_is_concrete_within_the_ceiling_and_not_of_high_risk() {
    let asks = [
        "fs:ro",
        "fs:ro=~/notes",
        "clock",
        "call=git.log",
        "env=API_TOKEN",
        "net=https://a.org",
        "fs:rw=~/notes",
        "kv=1GiB",
        "net-range=10.0.0.0/8",
    ];
    let choices = needs_choice(&manifest(&asks, ""), &Ceiling::DEFAULT, "/home/me");
    let expected = [
        Some("the folder is yours to choose"),
        None,
        None,
        Some("it is of high risk"),
        Some("the variable's name looks like a secret's"),
        None,
        Some("writing together with the network is of high risk"),
        Some("it is above the node's ceiling"),
        Some("it is of high risk"),
    ];
    assert_eq!(choices, expected);
}

#[test]
fn a_name_that_two_grants_share_has_one_folder() {
    let mut file = grants(&["fs:ro=/data=/a", "fs:rw=/data=/a", "fs:ro=/data=/a"]);
    let result = decide(None, &file, &Ceiling::DEFAULT);
    assert_eq!(result.grants.folders.len(), 1);
    assert_eq!(result.grants.folders[0].mode, FolderMode::Rw);
    file.entries[2].folder.as_mut().unwrap().inode = 5;
    let result = decide(None, &file, &Ceiling::DEFAULT);
    assert_eq!(
        (result.grants.folders[0].mode, result.grants.folders[0].inode),
        (FolderMode::Ro, 5)
    );
}

#[test]
fn a_grant_file_is_read_back_as_written() {
    let mut file = grants(&["fs:ro=/home/me/my notes", "env=API_TOKEN", "call=a.b path=/x/**"]);
    file.entries[1].reveal = true;
    file.profile = Some("reader".to_owned());
    file.limits.deadline_ms = Some(5);
    let text = file.to_toml();
    assert_eq!(
        GrantFile::parse("g", &text).unwrap_or_else(|e| panic!("{}\n{text}", e.render())),
        file
    );
    assert_eq!(GrantFile::parse("g", &text).unwrap().to_toml(), text);
    file.limits.fuel = Some(u64::MAX);
    assert_eq!(GrantFile::parse("g", &file.to_toml()).unwrap(), file);
}

#[test]
fn a_changed_grant_file_is_refused_where_it_is_wrong() {
    let good = grants(&["fs:ro=/a", "clock"]).to_toml();
    for (from, to, part) in [
        ("fs:ro=/a", "fs:ro=~/a", "absolutely"),
        ("fs:ro=/a", "fs:ro=/a/../b", "absolutely"),
        ("\"fs:ro=/a\"", "\"random\"", "says which folder"),
        ("\"clock\"", "\"fs:ro=/c\"", "says which folder"),
        ("path = \"/a\"", "path = \"a\"", "not absolute"),
        ("device = \"1\"", "device = \"-1\"", "decimal number"),
        ("device = \"1\"", "device = 1", "invalid type"),
        ("2026-01-02T03:04:05Z", "yesterday", "a time is written"),
        ("granted_at", "given_at", "unknown field `given_at`"),
        ("plugin = \"notes\"", "plugin = \"../x\"", "plugin name"),
        ("blake3:", "sha256:", "a digest is"),
    ] {
        let error = GrantFile::parse("g", &good.replacen(from, to, 1)).unwrap_err();
        assert!(error.message.contains(part), "{from} -> {to}: {}", error.render());
    }
    let revealed = good.replace("\"clock\"", "\"clock\"\nreveal = true");
    assert!(GrantFile::parse("g", &revealed).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), at in 0usize..400, character in any::<char>()) {
        let _ = GrantFile::parse("g", &text);
        let good = grants(&["fs:ro=/a", "clock"]).to_toml();
        let mut changed: Vec<char> = good.chars().collect();
        let at = at % changed.len();
        changed[at] = character;
        let _ = GrantFile::parse("g", &changed.into_iter().collect::<String>());
    }

    /// Whatever is granted, nothing is effective that the manifest does not ask for.
    #[test]
    fn effective_never_passes_the_manifest(
        asked in proptest::sample::subsequence(TEXTS.to_vec(), 0..TEXTS.len()),
        granted in proptest::sample::subsequence(TEXTS.to_vec(), 0..TEXTS.len()),
    ) {
        let manifest = manifest(&asked, "");
        let result = decide(Some(&manifest), &grants(&granted), &Ceiling::DEFAULT);
        for permission in &result.permissions {
            prop_assert!(manifest.asks.iter().any(|ask| ask.permission.covers(permission)));
            prop_assert!(granted.iter().any(|text| text.parse::<Permission>().unwrap().covers(permission)));
        }
        for ask in &result.missing {
            prop_assert!(!result.permissions.iter().any(|own| own.covers(&ask.permission)));
        }
    }
}

const TEXTS: [&str; 16] = [
    "fs:git",
    "fs:git=/a",
    "fs:ro=/a",
    "fs:rw=/a",
    "fs:ro=/a/b",
    "fs:rw+exec=/c",
    "net=https://*.a.org",
    "net=GET https://x.a.org",
    "env=LANG",
    "clock",
    "kv=1MiB",
    "kv=2MiB",
    "index=1MiB",
    "index=2MiB",
    "call=git.*",
    "call=git.log path=/x/**",
];
