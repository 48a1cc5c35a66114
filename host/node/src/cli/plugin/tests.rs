use clap::Parser as _;
use meshhost_core::code::Exit;
use serde_json::json;

use super::*;
use crate::cli::{fixture, session::scripted};

#[derive(Debug, clap::Parser)]
struct Words {
    #[command(subcommand)]
    command: PluginCommand,
}

fn command(words: &[&str]) -> PluginCommand {
    Words::try_parse_from([&["plugin"], words].concat()).unwrap().command
}

/// Runs a command against a node that gives these replies; what it answered and was asked.
async fn say(words: &[&str], replies: Vec<Reply>) -> (Result<Output, Refusal>, Vec<Request>) {
    let (mut session, asked) = scripted::session(replies);
    let output = run(command(words), &mut session).await;
    session.close().await;
    (output, asked.await.unwrap())
}

fn view() -> Reply {
    Reply::Plugin(Box::new(fixture::plugin()))
}

fn plain(output: &Output) -> String {
    anstream::adapter::strip_str(&output.text).to_string()
}

#[test]
fn names_are_built_in_and_paths_are_files() {
    let place = Place { folder: "/work".into(), home: Some("/home/me".into()) };
    let file = |path: &str| Source::File(path.into());
    for (written, expected) in [
        ("git", Source::BuiltIn("git".to_owned())),
        ("./git", file("/work/git")),
        ("git.wasm", file("/work/git.wasm")),
        ("~/x.wasm", file("/home/me/x.wasm")),
        ("/x", file("/x")),
    ] {
        let found = source(written, &place).unwrap();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{written}");
    }
}

#[tokio::test]
async fn an_install_sends_what_was_agreed_to() {
    let words = ["install", "git", "--grant", "fs:ro=~/src", "--grant", "clock", "--yes"];
    let inspected = Reply::Review(Box::new(fixture::review()));
    let (output, asked) = say(&words, vec![inspected, view()]).await;
    let output = output.unwrap();
    assert_eq!(output.exit, Exit::Success);
    let text = plain(&output);
    assert!(text.contains("can reach   nothing else"), "{text}");
    assert!(text.contains("\ngit 0.1.0 is installed: serving"), "{text}");
    let [Request::Inspect { .. }, Request::Install { source: Source::BuiltIn(name), consent, .. }] =
        asked.as_slice()
    else {
        panic!("{asked:?}")
    };
    assert_eq!(name, "git");
    assert_eq!(consent.permissions, ["fs:ro=/home/me/src", "clock"]);
    assert!(consent.asks && !consent.partial && consent.review.is_none());
}

#[tokio::test]
async fn without_a_terminal_a_review_ends_with_its_own_code() {
    let review = || Reply::Review(Box::new(fixture::review()));
    let install = (vec!["install", "git"], vec![review(), review()]);
    for (words, replies) in [install, (vec!["update", "git"], vec![review()])] {
        let questions = replies.len();
        let (output, asked) = say(&words, replies).await;
        let output = output.unwrap();
        assert_eq!(output.exit, Exit::ConsentNeeded);
        assert!(output.notes.contains("MH0106"), "{}", output.notes);
        assert_eq!(output.json["schema"], "meshhost.review/1");
        assert_eq!(asked.len(), questions, "nothing is granted silently");
    }
}

#[tokio::test]
async fn an_inspection_is_no_missing_consent() {
    let mut review = fixture::review();
    review.inspection = json!({
        "wit": "world git {}",
        "engine": {"kind": "concurrent", "reasons": ["lists of fixed length"]},
        "unsupported": ["error contexts"],
        "imports": [
            {"name": "wasi:filesystem/types@0.2.6",
             "class": {"class": "needs-grant", "permissions": ["fs:ro=PATH"]}},
            {"name": "acme:x/y", "class": {"class": "unknown"}},
            {"name": "wasi:sockets/tcp@0.2.0", "class": {"class": "always-denied"}},
            {"name": "wasi:http/client@0.3.0",
             "class": {"class": "not-supported", "reason": "which is not provided"}},
        ],
        "exports": [
            {"name": "meshhost:git/repository@0.1.0#log", "capability": "git.log", "reason": null},
            {"name": "open", "capability": null, "reason": "it passes a resource"},
        ],
    });
    let reply = || vec![Reply::Review(Box::new(review.clone()))];
    let (output, _) = say(&["inspect", "./x.wasm"], reply()).await;
    let output = output.unwrap();
    assert_eq!(output.exit, Exit::Success);
    let text = plain(&output);
    for words in [
        "Runs on the second engine\n  it uses lists of fixed length",
        "Does not run\n  it uses error contexts",
        "needs fs:ro=PATH",
        "unknown",
        "always denied",
        "not provided",
        "it passes a resource",
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let (output, _) = say(&["inspect", "./x.wasm", "--wit"], reply()).await;
    assert_eq!(output.unwrap().text, "world git {}\n");
}

#[tokio::test]
async fn a_digest_approves_what_was_staged() {
    let digest = Digest::of(b"new").to_string();
    let words = ["update", "git", "--approve", "--digest", &digest];
    let (output, asked) = say(&words, vec![view()]).await;
    assert_eq!(output.unwrap().exit, Exit::Success);
    assert!(matches!(asked.as_slice(), [Request::Approve { .. }]), "{asked:?}");
    assert!(Words::try_parse_from(["plugin", "update", "git", "--approve"]).is_err());
}

#[tokio::test]
async fn revoking_all_must_be_said() {
    assert!(Words::try_parse_from(["plugin", "revoke", "git"]).is_err());
    let (_, asked) = say(&["revoke", "git", "--all"], vec![view()]).await;
    let [Request::Revoke { permissions, .. }] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(permissions.is_empty());
}

#[tokio::test]
async fn a_grant_of_nothing_is_refused_before_the_node_hears_of_it() {
    let (output, asked) = say(&["grant", "git"], Vec::new()).await;
    assert_eq!(output.unwrap_err().code, Code::UsageError);
    assert!(asked.is_empty());
}

#[tokio::test]
async fn the_list_fits_the_screen() {
    let mut plugin = fixture::plugin();
    plugin.effective = vec!["fs:ro=/home/me/a/rather/long/folder/name".to_owned(); 3];
    let (output, _) = say(&["list"], vec![Reply::Plugins(vec![plugin])]).await;
    let text = plain(&output.unwrap());
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let (output, _) = say(&["list"], vec![Reply::Plugins(Vec::new())]).await;
    assert!(output.unwrap().text.contains("meshhost plugin install git"));
}
