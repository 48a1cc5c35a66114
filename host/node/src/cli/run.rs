//! `meshhost run`: runs a component without installing it, with no grants.

use clap::Args;
use meshhost_core::{code::Code, id::CapabilityId, outcome::Refusal};
use serde_json::{Value, json};

use super::{
    arguments::{self, BlobFile, Reader},
    call::{self, CallOptions},
    outcome,
    parameters::parameters,
    plugin::source,
    print::Output,
    session::{Session, unexpected},
};
use crate::api::{CallRequest, CapabilityView, Reply, Request, Review, Source};

/// Run a component without installing it. It gets no files, no network, nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
A command gets the words after the file as its arguments. A component that
offers functions gets key=text, key:=JSON and key=@FILE, as with `call`. A
command that ends with another code than 0 ends this one with 1.

Examples:
  meshhost run ./hello.wasm
  meshhost run ./sort.wasm --stdin words.txt -- --reverse
  meshhost run ./weather.wasm --function current city=Berlin
")]
pub(crate) struct RunCommand {
    /// A .wasm file, or the name of a component that is inside meshhost.
    #[arg(value_name = "FILE|NAME")]
    source: String,
    /// Arguments of the command or function; after -- also with a leading dash.
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    /// The function, when the component offers several.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Standard input of a command: a file, or - for the standard input of this command.
    #[arg(long, value_name = "FILE|-")]
    stdin: Option<String>,
    #[command(flatten)]
    options: CallOptions,
}

pub(crate) async fn run(command: RunCommand, session: &mut Session) -> Result<Output, Refusal> {
    let source = source(&command.source, &session.place)?;
    let inspect = Request::Inspect { source: source.clone(), name: None };
    let review = match session.ask(inspect).await? {
        Reply::Review(review) => review,
        other => return Err(unexpected(&other)),
    };
    let (function, call) = match function(&review, command.function.as_deref())? {
        Some(capability) => {
            if command.stdin.is_some() {
                return Err(usage("--stdin is for commands; this component offers functions"));
            }
            let call = function_call(&command, capability, session).await?;
            (Some(capability.id.to_string()), call)
        }
        None => (None, command_call(&command, &review, session).await?),
    };
    run_call(source, function, call, session).await
}

async fn run_call(
    source: Source,
    capability: Option<String>,
    call: CallRequest,
    session: &mut Session,
) -> Result<Output, Refusal> {
    let is_command = capability.is_none();
    let reply = session.ask(Request::Run { source, capability, call }).await?;
    let Reply::Call(mut reply) = reply else { return Err(unexpected(&reply)) };
    // What is not installed cannot be granted anything.
    reply.denied.iter_mut().for_each(|denied| denied.command = None);
    if is_command {
        Ok(outcome::command_output(&reply))
    } else {
        Ok(outcome::output(&reply, false))
    }
}

/// The function to run; `None` for a command.
fn function<'a>(
    review: &'a Review,
    wanted: Option<&str>,
) -> Result<Option<&'a CapabilityView>, Refusal> {
    let is_command = review.inspection.get("is_command").and_then(Value::as_bool) == Some(true);
    let offered = review.capabilities.as_slice();
    let names = || offered.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, offered) {
        (Some(name), _) => {
            let folded = name.replace('-', "_");
            let found = offered.iter().find(|one| {
                let id = one.id.folded();
                id == folded || id.rsplit('.').next() == Some(folded.as_str())
            });
            let none = || usage(format!("there is no function `{name}`; there are: {}", names()));
            found.map(Some).ok_or_else(none)
        }
        (None, _) if is_command => Ok(None),
        (None, [only]) => Ok(Some(only)),
        (None, []) => Err(usage("the component offers no function that can be called")),
        (None, _) => Err(usage(format!("say which with --function: {}", names()))),
    }
}

async fn function_call(
    command: &RunCommand,
    capability: &CapabilityView,
    session: &mut Session,
) -> Result<CallRequest, Refusal> {
    let known = parameters(capability);
    let reader = Reader {
        parameters: Some(&known),
        place: &session.place,
        elsewhere: false,
        stdin: Some(std::io::stdin()),
    };
    let input = reader.read(command.options.input.as_deref(), &command.arguments)?;
    let mut call = call::request(&capability.id, &command.options, session);
    call.input = call::put_blobs(session, input).await?;
    Ok(call)
}

async fn command_call(
    command: &RunCommand,
    review: &Review,
    session: &mut Session,
) -> Result<CallRequest, Refusal> {
    if command.options.input.is_some() {
        return Err(usage("--input is for functions; this component is a command"));
    }
    let id: CapabilityId = format!("{}.run", review.name)
        .parse()
        .map_err(|error| usage(format!("the component's name cannot be used: {error}")))?;
    let mut call = call::request(&id, &command.options, session);
    call.input = json!({});
    call.arguments.clone_from(&command.arguments);
    let file = match command.stdin.as_deref() {
        None => return Ok(call),
        Some("-") => BlobFile::Spooled(arguments::spool(std::io::stdin())?),
        Some(file) => BlobFile::Named(session.place.absolute(file)?),
    };
    let reply = session.ask(Request::PutBlob { file: file.path().to_owned() }).await?;
    let Reply::Blob { digest, .. } = reply else { return Err(unexpected(&reply)) };
    call.stdin = Some(digest);
    Ok(call)
}

fn usage(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::UsageError, message)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use meshhost_core::{code::Exit, id::Digest, outcome::OutcomeKind};

    use super::*;
    use crate::cli::{fixture, session::scripted};

    #[derive(Debug, clap::Parser)]
    struct Words {
        #[command(flatten)]
        command: RunCommand,
    }

    async fn say(words: &[&str], replies: Vec<Reply>) -> (Result<Output, Refusal>, Vec<Request>) {
        let command = Words::try_parse_from([&["run"], words].concat()).unwrap().command;
        let (mut session, asked) = scripted::session(replies);
        let output = run(command, &mut session).await;
        session.close().await;
        (output, asked.await.unwrap())
    }

    fn review(is_command: bool, functions: usize) -> Reply {
        let mut review = fixture::review();
        review.inspection = json!({"is_command": is_command});
        review.capabilities = vec![fixture::capability(); functions];
        Reply::Review(Box::new(review))
    }

    fn success() -> Reply {
        Reply::Call(Box::new(fixture::call_reply(OutcomeKind::Success, None)))
    }

    #[tokio::test]
    async fn a_command_gets_its_words_and_standard_input() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let words = ["./x.wasm", "--stdin", path, "--", "--reverse", "a=b"];
        let digest = Digest::of(b"");
        let replies = vec![review(true, 1), Reply::Blob { digest, length: 0 }, success()];
        let (output, asked) = say(&words, replies).await;
        assert_eq!(output.unwrap().exit, Exit::Success);
        let [_, Request::PutBlob { .. }, Request::Run { capability, call, .. }] = asked.as_slice()
        else {
            panic!("{asked:?}")
        };
        assert_eq!(*capability, None);
        assert_eq!(call.arguments, ["--reverse", "a=b"]);
        assert_eq!(call.stdin, Some(digest));
    }

    #[tokio::test]
    async fn a_function_gets_typed_input() {
        for words in [
            vec!["./x.wasm", "path=.", "limit=1"],
            vec!["./x.wasm", "--function", "log", "path=.", "limit=1"],
        ] {
            let (output, asked) = say(&words, vec![review(false, 1), success()]).await;
            assert_eq!(output.unwrap().exit, Exit::Success);
            let [_, Request::Run { capability, call, .. }] = asked.as_slice() else {
                panic!("{asked:?}")
            };
            assert_eq!(capability.as_deref(), Some("git.log"));
            assert_eq!(call.input, json!({"path": "/work/src", "limit": 1}));
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_said() {
        for (words, reply, message) in [
            (vec!["./x.wasm"], review(false, 0), "no function"),
            (vec!["./x.wasm"], review(false, 2), "--function"),
            (vec!["./x.wasm", "--function", "show"], review(false, 1), "there are: git.log"),
            (vec!["./x.wasm", "--stdin", "-", "path=."], review(false, 1), "for commands"),
            (vec!["./x.wasm", "--input", "{}"], review(true, 1), "for functions"),
        ] {
            let refusal = say(&words, vec![reply]).await.0.unwrap_err();
            assert!(refusal.message.contains(message), "{words:?}: {refusal}");
        }
    }
}
