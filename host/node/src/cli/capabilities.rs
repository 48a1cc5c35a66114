//! `meshhost capabilities`: what can be called, and the schemas of input and output.

use clap::Args;
use meshhost_core::outcome::Refusal;
use serde_json::{Value, json};

use super::{
    call,
    print::{Output, pretty},
    session::Session,
    table::table,
    text::{clean, clean_line, shorten},
};
use crate::api::CapabilityView;

/// Letters of a description in the list.
const DESCRIPTION_LETTERS: usize = 80;

/// List what can be called.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshhost capabilities
  meshhost capabilities git
  meshhost capabilities git.log --schema
")]
pub(crate) struct CapabilitiesCommand {
    /// Only ids that begin with this.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Print input and output as JSON Schema 2020-12.
    #[arg(long)]
    schema: bool,
}

pub(crate) async fn run(
    command: CapabilitiesCommand,
    session: &mut Session,
) -> Result<Output, Refusal> {
    let mut known = call::capabilities(session).await?;
    if let Some(prefix) = &command.prefix {
        let prefix = prefix.replace('-', "_");
        known.retain(|one| {
            one.id.folded().starts_with(&prefix) || one.long_id.folded().starts_with(&prefix)
        });
    }
    let json = json!({"schema": "meshhost.capabilities/1", "capabilities": known});
    let text = if command.schema {
        let schemas: Vec<Value> = known.iter().map(schemas).collect();
        format!("{}\n", clean(&pretty(&Value::Array(schemas))))
    } else if known.is_empty() {
        match command.prefix {
            Some(prefix) => format!("nothing that can be called begins with {prefix}\n"),
            None => "nothing can be called yet; try `meshhost plugin install git`\n".to_owned(),
        }
    } else {
        table(["CAPABILITY", "PLUGIN", "RISK", "WHAT IT DOES"], known.iter().map(row))
    };
    Ok(Output::success(text, json))
}

fn schemas(capability: &CapabilityView) -> Value {
    json!({
        "id": capability.id,
        "version": capability.version,
        "plugin": capability.plugin,
        "input": capability.input_schema,
        "output": capability.output_schema,
    })
}

fn row(capability: &CapabilityView) -> [String; 4] {
    let first = capability.description.lines().next().unwrap_or_default();
    let other = if capability.preferred { "" } else { " (not the default)" };
    [
        capability.id.to_string(),
        format!("{} {}{other}", capability.plugin, clean_line(&capability.version)),
        clean_line(&capability.risk).into_owned(),
        shorten(&clean_line(first), DESCRIPTION_LETTERS),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::Reply,
        cli::{fixture, session::scripted},
    };

    async fn say(prefix: Option<&str>, schema: bool) -> Output {
        let reply = Reply::Capabilities(vec![fixture::capability()]);
        let (mut session, _) = scripted::session(vec![reply]);
        let command = CapabilitiesCommand { prefix: prefix.map(str::to_owned), schema };
        run(command, &mut session).await.unwrap()
    }

    #[tokio::test]
    async fn ids_are_filtered_and_fit_the_screen() {
        let text = anstream::adapter::strip_str(&say(Some("git"), false).await.text).to_string();
        assert!(text.contains("git.log") && text.contains("low"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(say(Some("ocr"), false).await.text.contains("begins with ocr"));
    }

    #[tokio::test]
    async fn schemas_are_json() {
        let output = say(None, true).await;
        let parsed: Value = serde_json::from_str(&output.text).unwrap();
        assert_eq!(parsed[0]["input"]["required"], json!(["path"]));
    }
}
