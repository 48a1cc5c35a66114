//! Consent: from options on the command line, or asked on a terminal. Nothing is granted
//! because nobody answered.

use clap::Args;
use inquire::{Confirm, InquireError, MultiSelect, Select, Text};
use meshhost_core::{
    code::Code,
    limits::LimitsWanted,
    outcome::Refusal,
    permission::{Permission, PermissionError},
};
use serde_json::{Map, Value, json};

use super::{exit, json as documents, place::Place, print::Output, review, session::Session};
use crate::api::{AskView, Consent, Reply, Review};

/// What is agreed to on the command line.
#[derive(Debug, Args)]
pub(crate) struct ConsentOptions {
    /// Grant this permission, such as fs:ro=~/src, net=https://api.example.org, clock. Repeat
    /// it for more.
    #[arg(long, value_name = "PERMISSION")]
    pub(crate) grant: Vec<String>,
    /// Grant what this shipped profile holds.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Grant exactly what the manifest asks for, within the node's ceiling.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Agree although less is granted than the manifest needs.
    #[arg(long)]
    pub(crate) partial: bool,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

/// Limits on the command line.
#[derive(Debug, Args)]
pub(crate) struct LimitOptions {
    /// Another limit, within the node's ceiling: fuel=20000000000, memory_bytes=512MiB.
    /// Repeat it for more.
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    limits: Vec<String>,
}

impl LimitOptions {
    /// The limits that are named.
    pub(crate) fn wanted(&self) -> Result<LimitsWanted, Refusal> {
        let wrong = |message: String| Refusal::new(Code::UsageError, message);
        let mut fields = Map::new();
        for written in &self.limits {
            let (name, number) = written
                .split_once('=')
                .and_then(|(name, number)| Some((name, parse_number(number)?)))
                .ok_or_else(|| wrong(format!("`{written}` is no limit; write NAME=NUMBER")))?;
            fields.insert(name.replace('-', "_"), json!(number));
        }
        serde_json::from_value(Value::Object(fields)).map_err(|error| wrong(format!("{error}")))
    }
}

/// `5`, `64KiB`, `512MiB`, `1GiB`.
fn parse_number(text: &str) -> Option<u64> {
    let units = [("KiB", 1_u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    for (unit, size) in units {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<u64>().ok()?.checked_mul(size);
        }
    }
    text.parse().ok()
}

impl ConsentOptions {
    /// The consent that the options give by themselves.
    pub(crate) fn consent(&self, place: &Place) -> Result<Consent, Refusal> {
        Ok(Consent {
            permissions: expand_all(&self.grant, place)?,
            profile: self.profile.clone(),
            asks: self.yes,
            review: None,
            partial: self.partial,
            limits: self.limits.wanted()?,
        })
    }
}

/// Permissions as the node understands them: folders absolute.
pub(crate) fn expand_all(written: &[String], place: &Place) -> Result<Vec<String>, Refusal> {
    written.iter().map(|permission| expand(permission, place)).collect()
}

/// The folder of a permission made absolute, from `~` and the working folder.
fn expand(written: &str, place: &Place) -> Result<String, Refusal> {
    absolute(written.parse().map_err(not_a_permission)?, place)
}

fn absolute(permission: Permission, place: &Place) -> Result<String, Refusal> {
    // A home that is not known reads as the root; a `~` must then not become `/`.
    let home = place.absolute_text("~").ok();
    if home.is_none() && permission.to_string().contains('~') {
        place.absolute("~")?;
    }
    let folder = place.absolute_text(".")?;
    let expanded = permission.absolute(&folder, home.as_deref().unwrap_or("/"));
    expanded.map(|permission| permission.to_string()).map_err(not_a_permission)
}

fn not_a_permission(error: PermissionError) -> Refusal {
    let hint = error.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
    Refusal::new(PermissionError::CODE, format!("{error}{hint}"))
}

/// What a command answers when consent is missing and nobody can be asked.
pub(crate) fn needed(review: Review) -> Output {
    let text = review::card(&review);
    let notes = super::print::refusal_text(&Refusal::new(
        Code::ConsentNeeded,
        "nothing was changed: consent is needed and there is no terminal to ask on",
    ));
    let command = super::text::clean_line(&review.consent_command);
    let notes = format!("{notes}  this command consents:\n\n{command}\n\n");
    let reply = Reply::Review(Box::new(review));
    let exit = exit::of(&reply, false);
    Output { text, raw: false, notes, json: documents::of(&reply, ""), exit }
}

/// Shows the card and asks. `Ok` holds what was agreed to, in addition to `given`.
pub(crate) fn ask(session: &Session, review: &Review, given: &Consent) -> Result<Consent, Refusal> {
    session.printer.say(&review::card(review));
    let open: Vec<&AskView> = review.asks.iter().filter(|ask| !ask.granted).collect();
    let mut consent = Consent { review: Some(review.review), ..given.clone() };
    let answer = Select::new("Allow?", vec![ALL, CHOOSE, NO])
        .without_filtering()
        .with_help_message("arrows to move, enter to answer, Ctrl-C to leave")
        .prompt()
        .map_err(|error| not_answered(&error))?;
    let chosen = match answer {
        ALL => open,
        CHOOSE => choose(&open)?,
        _ => return Err(declined()),
    };
    consent.partial |= answer == CHOOSE;
    for ask in chosen {
        consent.permissions.push(resolve(ask, &session.place)?);
    }
    Ok(consent)
}

const ALL: &str = "all";
const CHOOSE: &str = "choose…";
const NO: &str = "no";

fn choose<'a>(open: &[&'a AskView]) -> Result<Vec<&'a AskView>, Refusal> {
    let lines: Vec<String> = open.iter().map(|ask| review::permission(&ask.permission)).collect();
    let required: Vec<usize> =
        open.iter().enumerate().filter(|(_, ask)| !ask.optional).map(|(place, _)| place).collect();
    let picked = MultiSelect::new("Allow what?", lines)
        .with_default(&required)
        .with_help_message("space to pick, enter to answer")
        .raw_prompt()
        .map_err(|error| not_answered(&error))?;
    Ok(picked.iter().filter_map(|option| open.get(option.index).copied()).collect())
}

/// The permission of an ask; a folder that the manifest leaves open is asked for.
fn resolve(ask: &AskView, place: &Place) -> Result<String, Refusal> {
    let permission: Permission = ask.permission.parse().map_err(not_a_permission)?;
    let Permission::Folder { mode, guest, host: None } = permission else {
        return absolute(permission, place);
    };
    let question = format!("Which folder for {}?", super::text::clean_line(&ask.permission));
    let answer = Text::new(&question).with_default(".").prompt();
    let host = Some(answer.map_err(|error| not_answered(&error))?);
    absolute(Permission::Folder { mode, guest, host }, place)
}

/// A question that is answered by `y` alone: whoever leaves it has said no.
pub(crate) fn confirm(question: &str) -> bool {
    Confirm::new(question).with_default(false).prompt().unwrap_or(false)
}

fn declined() -> Refusal {
    Refusal::new(Code::ConsentNeeded, "you said no; nothing was changed")
}

fn not_answered(error: &InquireError) -> Refusal {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => declined(),
        other => Refusal::new(Code::ConsentNeeded, format!("nobody could be asked: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture;

    fn place() -> Place {
        Place { folder: "/work/src".into(), home: Some("/home/me".into()) }
    }

    #[test]
    fn folders_in_permissions_become_absolute() {
        for (written, expanded) in [
            ("fs:ro=~/notes", "fs:ro=/home/me/notes"),
            ("fs:rw=.", "fs:rw=/work/src"),
            ("fs:rw=notes", "fs:rw=/work/src/notes"),
            ("fs:ro=/data=~/notes", "fs:ro=/data=/home/me/notes"),
            ("fs:ro", "fs:ro"),
            ("clock", "clock"),
            ("call=filesystem.read path=~/notes/**", "call=filesystem.read path=/home/me/notes/**"),
        ] {
            assert_eq!(expand(written, &place()).unwrap(), expanded);
        }
    }

    #[test]
    fn what_is_no_permission_or_has_no_home_is_refused() {
        assert_eq!(expand("fly", &place()).unwrap_err().code, Code::GrantInvalid);
        let homeless = Place { home: None, ..place() };
        assert_eq!(expand("fs:ro=~/x", &homeless).unwrap_err().code, Code::UsageError);
        assert_eq!(expand("fs:ro=x", &homeless).unwrap(), "fs:ro=/work/src/x");
    }

    #[test]
    fn limits_are_named_numbers() {
        let wanted = |limits: &[&str]| {
            LimitOptions { limits: limits.iter().map(|&one| one.to_owned()).collect() }.wanted()
        };
        let found = wanted(&["fuel=5", "memory-bytes=512MiB"]).unwrap();
        assert_eq!((found.fuel, found.memory_bytes), (Some(5), Some(512 << 20)));
        for wrong in ["fuel", "fuel=", "fuel=-1", "fuel=99999999999GiB", "speed=5", "waiting=5GiB"]
        {
            assert_eq!(wanted(&[wrong]).unwrap_err().code, Code::UsageError, "{wrong}");
        }
    }

    #[test]
    fn without_a_terminal_the_consenting_command_is_printed() {
        let output = needed(fixture::review());
        assert_eq!(output.exit as u8, 3);
        assert!(output.notes.contains("meshhost plugin install git --grant"), "{}", output.notes);
        assert_eq!(output.json["consent_command"], fixture::review().consent_command);
    }
}
