//! The only module that prints. Results go to standard output, everything else to standard
//! error; with `--json` standard output holds exactly one JSON document, also for an error. Items of a
//! stream come before it, each on a line of its own.
//!
//! Colours pass through `anstream`, which drops them when the stream is no terminal, with
//! `NO_COLOR`, or with `--plain`.

use std::io::{self, IsTerminal as _, Write as _};

use meshhost_core::{code::Exit, diagnostic::Diagnostic, outcome::Refusal};
use serde_json::{Value, json};

use super::text::{DIM, RED, clean, clean_line, styled, wrap};

/// What a command answers.
#[derive(Debug)]
pub(crate) struct Output {
    /// For a person, on standard output. Ends with a line break unless it is empty or a plugin's
    /// own text.
    pub(crate) text: String,
    /// The text is a plugin's own: every byte of it goes out as it is.
    pub(crate) raw: bool,
    /// For a person, on standard error: what is not part of the result.
    pub(crate) notes: String,
    /// The same for a program, with `--json`; a documented object with a `schema` field.
    pub(crate) json: Value,
    /// How the command ends.
    pub(crate) exit: Exit,
}

impl Output {
    /// A result that ends well.
    pub(crate) const fn success(text: String, json: Value) -> Self {
        Self { text, raw: false, notes: String::new(), json, exit: Exit::Success }
    }
}

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    /// One JSON document instead of text.
    pub(crate) json: bool,
}

impl Printer {
    /// A printer; `plain` switches colours off for the whole process.
    pub(crate) fn new(json: bool, plain: bool) -> Self {
        if plain {
            anstream::ColorChoice::Never.write_global();
        }
        Self { json }
    }

    /// Prints the result and gives back how the command ends.
    pub(crate) fn output(self, output: &Output) -> Exit {
        let printed = if self.json {
            write_raw(&format!("{}\n", output.json))
        } else if output.raw {
            write_raw(&output.text).and_then(|()| write_error(&output.notes))
        } else {
            write_out(&output.text).and_then(|()| write_error(&output.notes))
        };
        match printed {
            Ok(()) => output.exit,
            // Who closed the pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => output.exit,
            Err(_) => Exit::HostFault,
        }
    }

    /// Prints why a command failed and gives back how it ends.
    pub(crate) fn refusal(self, refusal: &Refusal) -> Exit {
        let text = if self.json { String::new() } else { refusal_text(refusal) };
        self.output(&Output {
            text: String::new(),
            raw: false,
            notes: text,
            json: refusal_json(refusal),
            exit: refusal.code.exit(),
        })
    }

    /// Prints items of a stream, one a line. May wait for whoever reads them.
    ///
    /// # Errors
    /// When nobody reads them any more, or they cannot be written.
    pub(crate) fn items(self, items: &[Value]) -> io::Result<()> {
        write_raw(&item_lines(items, self.json, io::stdout().is_terminal()))
    }

    /// Says something in between to a person: a card before a question, progress of long work.
    pub(crate) fn say(self, text: &str) {
        if !self.json {
            // A person who closed standard error does not want to hear it.
            let _ = write_error(text);
        }
    }
}

/// Items, one a line. JSON has no line breaks of its own; on a terminal a plugin's text is made harmless.
fn item_lines(items: &[Value], json: bool, terminal: bool) -> String {
    let line = |item: &Value| match (json, terminal) {
        (true, _) => json!({ "item": item }).to_string(),
        (false, true) => clean_line(&item.to_string()).into_owned(),
        (false, false) => item.to_string(),
    };
    items.iter().map(|item| format!("{}\n", line(item))).collect()
}

/// Nothing is dropped, also not what looks like a colour.
fn write_raw(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn write_error(text: &str) -> io::Result<()> {
    let mut stderr = anstream::stderr().lock();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

/// `error MH0412: …`, what else is known, and where to read more.
pub(crate) fn refusal_text(refusal: &Refusal) -> String {
    let info = refusal.code.info();
    let head = format!("error {}: ", info.number);
    let place = Diagnostic::of(refusal).map(|diagnostic| diagnostic.render());
    let (message, below) = match place.as_deref().and_then(|place| place.split_once('\n')) {
        Some((message, place)) => (message, clean(place).into_owned()),
        None => (refusal.message.as_str(), details_text(refusal)),
    };
    let wrapped = wrap("", &format!("{head}{}", clean_line(message)));
    let mut text = wrapped.replacen(head.trim_end(), &styled(RED, head.trim_end()), 1);
    text.push('\n');
    text.push_str(&below);
    if let Some(wait) = refusal.retry_after_ms {
        text.push_str(&format!("  try again in {}\n", super::text::milliseconds(wait)));
    }
    text.push_str(&styled(DIM, &format!("  more: meshhost explain {}", info.number)));
    text.push('\n');
    text
}

fn details_text(refusal: &Refusal) -> String {
    let details = refusal.details.as_ref().filter(|details| !is_empty(details));
    details.map(|details| indented("  ", &clean(&pretty(details)))).unwrap_or_default()
}

fn is_empty(details: &Value) -> bool {
    match details {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The error as a program reads it.
pub(crate) fn refusal_json(refusal: &Refusal) -> Value {
    let info = refusal.code.info();
    json!({
        "schema": "meshhost.error/1",
        "code": info.number,
        "name": info.name,
        "message": refusal.message,
        "details": refusal.details,
        "retryable": info.retryable,
        "retry_after_ms": refusal.retry_after_ms,
        "exit": info.exit as u8,
        "explain": format!("meshhost explain {}", info.number),
    })
}

/// JSON for a person.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// Each line of `text` behind `indent`, with a line break at the end.
pub(crate) fn indented(indent: &str, text: &str) -> String {
    text.lines().map(|line| format!("{indent}{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use meshhost_core::{code::Code, manifest::Manifest};

    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn an_error_names_its_code_and_where_to_read_more() {
        let refusal = Refusal::new(Code::PermissionDenied, "reading ~/notes was not granted");
        assert_eq!(
            plain(&refusal_text(&refusal)),
            "error MH0412: reading ~/notes was not granted\n  more: meshhost explain MH0412\n"
        );
        let json = refusal_json(&refusal);
        assert_eq!(json["code"], "MH0412");
        assert_eq!(json["exit"], 4);
    }

    #[test]
    fn an_error_in_a_file_shows_the_line() {
        let text = "[plugin]\nname = 7\n";
        let refusal = Refusal::from(Manifest::parse("ocr.plugin.toml", text).unwrap_err());
        assert_eq!(
            plain(&refusal_text(&refusal)),
            "error MH0201: invalid type: integer `7`, expected a string\n --> ocr.plugin.toml:2:8\n  \
             |\n2 | name = 7\n  |        ^\n  more: meshhost explain MH0201\n"
        );
        let json = refusal_json(&refusal);
        assert_eq!(json["details"]["diagnostic"]["line"], 2);
        assert_eq!(json["details"]["diagnostic"]["source_line"], "name = 7");
    }

    #[test]
    fn a_plugins_words_cannot_steer_the_terminal() {
        let refusal = Refusal::new(Code::PluginFailure, "a\x1b[2J\nerror MH0000: fake")
            .with_details(json!({"why": "b\u{9b}2J"}));
        let text = refusal_text(&refusal);
        assert!(!text.contains("\x1b[2J") && !text.contains('\u{9b}'), "{text:?}");
        assert!(!text.contains("\nerror"), "{text:?}");
    }

    #[test]
    fn items_are_lines_of_json() {
        let items = [json!(1), json!("a\n\u{9b}2J")];
        let lines = |json, terminal| item_lines(&items, json, terminal);
        assert_eq!(lines(false, false), "1\n\"a\\n\u{9b}2J\"\n");
        assert_eq!(lines(false, true), "1\n\"a\\n\\u{9b}2J\"\n");
        assert_eq!(lines(true, true), "{\"item\":1}\n{\"item\":\"a\\n\u{9b}2J\"}\n");
    }

    #[test]
    fn long_messages_break_at_the_edge_of_the_screen() {
        let refusal = Refusal::new(Code::Busy, "word ".repeat(60));
        assert!(plain(&refusal_text(&refusal)).lines().all(|line| line.chars().count() <= 80));
    }
}
