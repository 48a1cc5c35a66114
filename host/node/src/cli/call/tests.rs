use clap::Parser as _;
use meshhost_core::{code::Exit, id::Digest, outcome::OutcomeKind};

use super::*;
use crate::cli::{fixture, session::scripted};

#[derive(Debug, clap::Parser)]
struct Words {
    #[command(flatten)]
    command: CallCommand,
}

fn known() -> Reply {
    Reply::Capabilities(vec![fixture::capability()])
}

fn called(outcome: OutcomeKind, code: Option<Code>) -> Reply {
    Reply::Call(Box::new(fixture::call_reply(outcome, code)))
}

async fn say(words: &[&str], replies: Vec<Reply>) -> (Result<Output, Refusal>, Vec<Request>) {
    let command = Words::try_parse_from([&["call"], words].concat()).unwrap().command;
    let (mut session, asked) = scripted::session(replies);
    let output = run(command, &mut session).await;
    session.close().await;
    (output, asked.await.unwrap())
}

/// The answer of a node that knows no peer with the capability.
fn nobody_has_it() -> Reply {
    Reply::Capabilities(Vec::new())
}

#[tokio::test]
async fn a_call_carries_typed_input_and_the_working_folder() {
    let words = ["git.log@^0.1", "path=.", "limit=5", "--timeout", "2m", "--plugin", "git"];
    let (output, asked) = say(&words, vec![known(), called(OutcomeKind::Success, None)]).await;
    let output = output.unwrap();
    assert_eq!(output.exit, Exit::Success);
    assert_eq!(output.text, "{\"commits\":2}\n");
    assert_eq!(output.json["schema"], "meshhost.call/1");
    let [Request::Capabilities, Request::Call(call)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(call.input, json!({"path": "/work/src", "limit": 5}));
    assert_eq!(call.timeout_ms, Some(120_000));
    assert_eq!(call.version, Some("^0.1".parse().unwrap()));
    assert_eq!(call.plugin, Some("git".parse().unwrap()));
    assert_eq!(call.working_folder.as_deref(), Some(std::path::Path::new("/work/src")));
}

#[tokio::test]
async fn files_for_bytes_become_blobs_first() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let digest = Digest::of(b"");
    let patch = format!("patch=@{}", file.path().display());
    let replies =
        vec![known(), Reply::Blob { digest, length: 0 }, called(OutcomeKind::Success, None)];
    let (output, asked) = say(&["git.log", "path=/x", &patch], replies).await;
    assert_eq!(output.unwrap().exit, Exit::Success);
    let [_, Request::PutBlob { file: put }, Request::Call(call)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(put, file.path());
    assert_eq!(call.input["patch"], json!({"blob": digest}));
}

#[tokio::test]
async fn a_failure_keeps_its_exit_and_says_why() {
    let trap = called(OutcomeKind::Failure, Some(Code::Trap));
    let (output, _) = say(&["git.log", "path=/x"], vec![known(), trap]).await;
    let output = output.unwrap();
    assert_eq!(output.exit, Exit::Trap);
    assert!(output.notes.contains("MH0602"), "{}", output.notes);
    assert!(output.text.is_empty());
}

#[tokio::test]
async fn an_unknown_capability_is_still_asked_for_and_the_nearest_is_named() {
    let denied = called(OutcomeKind::Denied, Some(Code::CapabilityNotFound));
    let replies = vec![known(), nobody_has_it(), denied];
    let (output, asked) = say(&["git.lgo", "path=."], replies).await;
    let output = output.unwrap();
    assert_eq!(output.exit, Exit::NotFound);
    assert!(output.notes.contains("did you mean git.log?"), "{}", output.notes);
    assert!(matches!(
        asked.as_slice(),
        [_, Request::Describe { node: None, .. }, Request::Call(_)]
    ));
}

#[tokio::test]
async fn what_another_node_has_is_called_as_that_node_says() {
    let there = Reply::Capabilities(vec![fixture::capability()]);
    let replies = vec![Reply::Capabilities(Vec::new()), there, called(OutcomeKind::Success, None)];
    let (output, asked) = say(&["git.log", "path=/srv/src", "limit=5"], replies).await;
    assert_eq!(output.unwrap().exit, Exit::Success);
    let [_, Request::Describe { .. }, Request::Call(call)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(call.input, json!({"path": "/srv/src", "limit": 5}), "read by its types");
    let there = Reply::Capabilities(vec![fixture::capability()]);
    let (output, asked) = say(&["git.log", "path=.", "--node", "nas"], vec![known(), there]).await;
    let refusal = output.unwrap_err();
    assert!(refusal.message.contains("a path of this machine"), "{}", refusal.message);
    let [_, Request::Describe { node, .. }] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(node.as_deref(), Some("nas"));
}

#[tokio::test]
async fn help_is_about_the_capability() {
    let (output, asked) = say(&["git.log", "--help"], vec![known()]).await;
    assert!(output.unwrap().text.contains("limit"));
    assert!(matches!(asked.as_slice(), [Request::Capabilities]));
    let (output, _) = say(&["git.lgo", "--help"], vec![known(), nobody_has_it()]).await;
    assert!(output.unwrap_err().message.contains("did you mean git.log?"));
    let command = Words::try_parse_from(["call", "--help"]).unwrap().command;
    assert!(command.asks_for_no_capability());
    assert!(static_help().text.contains("Examples:"));
}

#[test]
fn ids_are_found_short_long_and_folded() {
    let mut second = fixture::capability();
    second.plugin = "git2".parse().unwrap();
    second.preferred = false;
    let known = vec![second, fixture::capability()];
    let plugin = |id: &str, plugin: Option<&str>| {
        let name = plugin.map(|name| name.parse().unwrap());
        choose(&known, &id.parse().unwrap(), name.as_ref()).map(|one| one.plugin.to_string())
    };
    assert_eq!(plugin("git.log", None).as_deref(), Some("git"));
    assert_eq!(plugin("git.repository.log", None).as_deref(), Some("git"));
    assert_eq!(plugin("git.log", Some("git2")).as_deref(), Some("git2"));
    assert_eq!(plugin("git.log", Some("git3")), None);
    assert_eq!(plugin("git.show", None), None);
}

#[test]
fn times_have_units() {
    for (text, milliseconds) in
        [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("7", 7_000)]
    {
        assert_eq!(parse_time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for wrong in ["", "0s", "-1s", "1.5s", "5d", "s", "99999999999999999999s"] {
        assert!(parse_time(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn what_streams_is_printed_before_the_result_and_not_again_with_it() {
    let items = || Reply::Items(vec![json!(1), json!(2)]);
    let success = || {
        let mut call = fixture::call_reply(OutcomeKind::Success, None);
        call.data = Some(json!([1, 2, 3, 4]));
        Reply::Call(Box::new(call))
    };
    let words = ["git.log", "path=.", "limit=5", "--stream"];
    let (output, asked) = say(&words, vec![known(), items(), items(), success()]).await;
    let output = output.unwrap();
    assert_eq!((output.text.as_str(), output.exit), ("", Exit::Success));
    assert_eq!(output.json["data"], json!([1, 2, 3, 4]));
    assert!(asked.last().unwrap().streams(), "{asked:?}");
    let (output, _) = say(&words, vec![known(), success()]).await;
    assert_eq!(output.unwrap().text, "[1,2,3,4]\n", "it did not stream");
    let (output, asked) = say(&words[..3], vec![known(), success()]).await;
    assert_eq!(output.unwrap().text, "[1,2,3,4]\n");
    assert!(!asked.last().unwrap().streams());
}
