//! `meshhost explain`: what an error code means and what to do.

use clap::Args;
use meshhost_core::{
    code::{ALL, Code, CodeInfo},
    diagnostic::nearest,
    outcome::Refusal,
};
use serde_json::{Value, json};

use super::{
    exit,
    print::Output,
    table::table,
    text::{BOLD, styled, wrap},
};

/// Explain an error code, or list all codes and exit codes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshhost explain MH0412
  meshhost explain permission-denied
  meshhost explain
")]
pub(crate) struct ExplainCommand {
    /// The code, by number or name. Without it all are listed.
    code: Option<String>,
}

pub(crate) fn run(command: &ExplainCommand) -> Result<Output, Refusal> {
    let Some(wanted) = &command.code else { return Ok(list()) };
    let info = Code::find(wanted).ok_or_else(|| not_found(wanted))?;
    let text = format!(
        "{}  {}\n\n{}\n{}\n\nThe command ends with exit code {}; {}.\n",
        styled(BOLD, info.number),
        info.name,
        wrap("", &format!("What happened: {}.", info.title)),
        wrap("", &format!("What to do: {}", info.explanation)),
        info.exit as u8,
        if info.retryable {
            "trying the same again later may work"
        } else {
            "trying again without a change will not help"
        },
    );
    Ok(Output::success(text, document(info, "meshhost.explain/1")))
}

fn list() -> Output {
    let rows = ALL
        .iter()
        .map(|info| [info.number.to_owned(), (info.exit as u8).to_string(), info.title.to_owned()]);
    let codes: Vec<Value> = ALL.iter().map(|info| document(*info, "meshhost.explain/1")).collect();
    let exits: Vec<Value> = exit::TABLE
        .iter()
        .map(|(exit, meaning)| json!({"exit": *exit as u8, "meaning": meaning}))
        .collect();
    Output::success(
        format!("{}\n{}", table(["CODE", "EXIT", "WHAT HAPPENED"], rows), exit::table()),
        json!({"schema": "meshhost.codes/1", "codes": codes, "exits": exits}),
    )
}

fn document(info: CodeInfo, schema: &str) -> Value {
    json!({
        "schema": schema,
        "code": info.number,
        "name": info.name,
        "exit": info.exit as u8,
        "retryable": info.retryable,
        "title": info.title,
        "explanation": info.explanation,
        "denial": info.denial,
    })
}

fn not_found(wanted: &str) -> Refusal {
    let names = ALL.iter().flat_map(|info| [info.number, info.name]);
    let hint = nearest(wanted, names).map_or_else(
        || "`meshhost explain` lists all".to_owned(),
        |it| format!("did you mean {it}?"),
    );
    Refusal::new(Code::NotFound, format!("there is no code `{wanted}`; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(code: Option<&str>) -> Result<String, Refusal> {
        run(&ExplainCommand { code: code.map(str::to_owned) })
            .map(|output| anstream::adapter::strip_str(&output.text).to_string())
    }

    #[test]
    fn every_code_is_explained_within_80_columns() {
        for info in ALL {
            let text = explain(Some(info.number)).unwrap();
            assert!(text.starts_with(info.number) && text.contains("What to do: "), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }

    #[test]
    fn the_list_holds_all_codes_and_exits() {
        let text = explain(None).unwrap();
        assert!(ALL.iter().all(|info| text.contains(info.number)));
        assert!(text.contains("14  the evidence does not verify"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_slip_is_answered_with_the_nearest() {
        let refusal = explain(Some("permision-denied")).unwrap_err();
        assert!(refusal.message.contains("permission-denied"), "{refusal}");
    }
}
