use serde_json::json;

use super::*;
use crate::cli::{fixture, parameters::parameters};

fn place() -> Place {
    Place { folder: "/work/src".into(), home: Some("/home/me".into()) }
}

/// Reads arguments of `git.log` from a folder with nothing special in it.
fn read_with(stdin: &str, input: Option<&str>, arguments: &[&str]) -> Result<Input, Refusal> {
    let capability = fixture::capability();
    let parameters = parameters(&capability);
    let place = place();
    let reader = Reader {
        parameters: Some(&parameters),
        place: &place,
        elsewhere: false,
        stdin: Some(stdin.as_bytes()),
    };
    let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
    reader.read(input, &arguments)
}

fn read(arguments: &[&str]) -> Result<Value, String> {
    read_with("", None, arguments)
        .map(|input| input.value)
        .map_err(|refusal| format!("{} {}", refusal.code.number(), refusal.message))
}

#[test]
fn text_is_read_by_the_parameters_type() {
    let table = [
        (vec!["path=."], json!({"path": "/work/src"})),
        (vec!["path=~/notes"], json!({"path": "/home/me/notes"})),
        (vec!["path=a=b"], json!({"path": "/work/src/a=b"})),
        (vec!["path=/x", "limit=5"], json!({"path": "/x", "limit": 5})),
        (vec!["path=/x", "limit=-5"], json!({"path": "/x", "limit": -5})),
        (
            vec!["path=/x", "limit=18446744073709551615"],
            json!({"path": "/x", "limit": "18446744073709551615"}),
        ),
        (vec!["path=/x", "limit:=null"], json!({"path": "/x", "limit": null})),
        (vec!["path=/x", "ratio=0.5"], json!({"path": "/x", "ratio": 0.5})),
        (vec!["path=/x", "merges=true"], json!({"path": "/x", "merges": true})),
        (vec!["path=/x", "order=old"], json!({"path": "/x", "order": "old"})),
        (vec!["path=/x", "authors=a"], json!({"path": "/x", "authors": ["a"]})),
        (vec!["path=/x", "authors=a,b", "authors="], json!({"path": "/x", "authors": ["a,b", ""]})),
        (vec!["path=/x", "authors:=[\"a\"]"], json!({"path": "/x", "authors": ["a"]})),
        (vec!["path=/x", "patch=hi"], json!({"path": "/x", "patch": "aGk="})),
        (vec!["path=/x", "filter:={\"a\":[1]}"], json!({"path": "/x", "filter": {"a": [1]}})),
        (vec!["path=/x", "note-text=a:=b"], json!({"path": "/x", "note_text": "a:=b"})),
        (vec!["path=/x", "note_text:=\"@x\""], json!({"path": "/x", "note_text": "@x"})),
    ];
    for (arguments, expected) in table {
        assert_eq!(read(&arguments), Ok(expected), "{arguments:?}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_name() {
    let table = [
        (vec!["path"], "MH0303", "key=text"),
        (vec!["=x"], "MH0303", "no parameter's name"),
        (vec!["pa/th=x"], "MH0303", "no parameter's name"),
        (vec!["pth=."], "MH0301", "did you mean `path`?"),
        (vec!["colour=red"], "MH0301", "there are: path, limit"),
        (vec![], "MH0301", "missing: `path` (text)"),
        (vec!["path=/x", "path=/y"], "MH0303", "`path` is given twice"),
        (vec!["path=/x", "limit=five"], "MH0301", "a whole number, not `five`"),
        (vec!["path=/x", "limit="], "MH0301", "a whole number"),
        (vec!["path=/x", "limit=1e3"], "MH0301", "a whole number"),
        (vec!["path=/x", "limit=18446744073709551616"], "MH0301", "a whole number"),
        (vec!["path=/x", "ratio=NaN"], "MH0301", "a number"),
        (vec!["path=/x", "ratio=inf"], "MH0301", "a number"),
        (vec!["path=/x", "merges=yes"], "MH0301", "true or false"),
        (vec!["path=/x", "order=odd"], "MH0301", "one of new, old"),
        (vec!["path=/x", "filter=a"], "MH0301", "filter:="),
        (vec!["path=/x", "filter:={"], "MH0301", "`filter`"),
        (vec!["path=/x", "filter:={\"a\":1,\"a\":2}"], "MH0301", "twice"),
        (vec!["path=/x", "note_text=@/does/not/exist"], "MH0303", "cannot be read"),
        (vec!["path=/x", "patch=@/does/not/exist"], "MH0303", "cannot be read"),
        (vec!["path=/x", "patch=@/"], "MH0303", "not a file"),
    ];
    for (arguments, code, words) in table {
        let error = read(&arguments).expect_err("must be refused");
        assert!(error.starts_with(code) && error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn files_become_text_or_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("five");
    std::fs::write(&file, "5\n").unwrap();
    let at = |name: &str| format!("{name}=@{}", file.display());
    let found = read_with("", None, &["path=/x", &at("limit"), &at("note_text"), &at("patch")]);
    let found = found.unwrap();
    assert_eq!(found.value, json!({"path": "/x", "limit": 5, "note_text": "5\n", "patch": null}));
    let [blob] = found.blobs.as_slice() else { panic!("{:?}", found.blobs) };
    assert_eq!(blob.pointer, "/patch");
    assert_eq!(blob.file.path(), file);
}

#[test]
fn standard_input_is_read_once() {
    let found = read_with("hello", None, &["path=/x", "note_text=@-"]).unwrap();
    assert_eq!(found.value, json!({"path": "/x", "note_text": "hello"}));
    let twice = read_with("hello", None, &["path=/x", "note_text=@-", "patch=@-"]);
    assert_eq!(twice.unwrap_err().code, Code::UsageError);

    let found = read_with("bytes", None, &["path=/x", "patch=@-"]).unwrap();
    let spooled = std::fs::read_to_string(found.blobs[0].file.path()).unwrap();
    assert_eq!(spooled, "bytes");
}

#[test]
fn an_input_object_and_arguments_add_up() {
    let found = read_with("", Some(r#"{"path": "notes", "limit": 1}"#), &["merges=true"]).unwrap();
    assert_eq!(found.value, json!({"path": "/work/src/notes", "limit": 1, "merges": true}));
    let found = read_with(r#"{"path": "/x"}"#, Some("-"), &[]).unwrap();
    assert_eq!(found.value, json!({"path": "/x"}));

    let twice = read_with("", Some(r#"{"path": "/x"}"#), &["path=/y"]).unwrap_err();
    assert!(twice.message.contains("--input"), "{twice}");
    let list = read_with("", Some("[1]"), &["path=/y"]).unwrap_err();
    assert!(list.message.contains("object"), "{list}");
    assert!(read_with("", Some("@/does/not/exist"), &[]).is_err());
}

#[test]
fn a_capability_that_is_not_known_takes_everything_as_text() {
    let place = place();
    let reader =
        Reader { parameters: None, place: &place, elsewhere: false, stdin: Some(&b""[..]) };
    let arguments = ["limit=5".to_owned(), "path=.".to_owned(), "n:=1".to_owned()];
    let found = reader.read(None, &arguments).unwrap();
    assert_eq!(found.value, json!({"limit": "5", "path": ".", "n": 1}));
}
