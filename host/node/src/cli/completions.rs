//! `meshhost completions`: a script that completes commands and options in a shell.

use clap::Args;
use clap_complete::{Shell, generate};
use serde_json::json;

use super::print::Output;

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshhost completions bash > ~/.local/share/bash-completion/completions/meshhost
  meshhost completions fish > ~/.config/fish/completions/meshhost.fish
")]
pub(crate) struct CompletionsCommand {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(command: &CompletionsCommand) -> Output {
    let mut script = Vec::new();
    generate(command.shell, &mut for_people(), "meshhost", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let json = json!({
        "schema": "meshhost.completions/1",
        "shell": command.shell.to_string(),
        "script": script,
    });
    Output::success(script, json)
}

/// The command line without what only the node itself runs.
fn for_people() -> clap::Command {
    let definition = super::definition();
    clap::Command::new("meshhost")
        .args(definition.get_arguments().cloned())
        .subcommands(definition.get_subcommands().filter(|inner| !inner.is_hide_set()).cloned())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_has_a_script_without_hidden_commands() {
        for &shell in Shell::value_variants() {
            let script = run(&CompletionsCommand { shell }).text;
            assert!(script.contains("capabilities"), "{shell}");
            assert!(!script.contains("compile-child"), "{shell}");
        }
    }
}
