//! The command line as a whole: help that fits and shows examples, errors that have an exit.

use std::sync::Arc;

use super::*;

/// Every command with its way from the root, hidden ones apart.
fn commands() -> Vec<(String, clap::Command)> {
    fn walk(way: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        found.push((way.to_owned(), command.clone()));
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            if inner.get_name() != "help" {
                walk(&format!("{way} {}", inner.get_name()), inner, found);
            }
        }
    }
    let mut definition = definition();
    definition.build();
    let mut found = Vec::new();
    walk("meshhost", &definition, &mut found);
    found
}

#[test]
fn the_definition_holds_together() {
    definition().debug_assert();
}

#[test]
fn every_help_fits_80_columns_and_shows_an_example() {
    let commands = commands();
    assert!(commands.len() > 30, "{}", commands.len());
    for (way, mut command) in commands {
        for help in [command.render_help(), command.render_long_help()] {
            let text = help.to_string();
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{way}: {line:?}");
            }
            assert!(text.contains("Example"), "{way} has no example:\n{text}");
            assert!(text.contains(&format!("  {way}")), "{way}: the example is another's:\n{text}");
        }
    }
}

#[test]
fn every_argument_is_explained_in_sentences() {
    for (way, command) in commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(about.starts_with(char::is_uppercase), "{way}: {about:?}");
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.len() > 4, "{way} {}: {help:?}", argument.get_id());
        }
    }
}

#[test]
fn the_first_help_shows_the_exit_codes() {
    let text = definition().render_help().to_string();
    for (exit, meaning) in exit::TABLE {
        assert!(text.contains(&format!("{:>2}  {meaning}", exit as u8)), "{text}");
    }
}

#[test]
fn a_configuration_on_the_command_line_is_insisted_on() {
    let config = |words: &[&str]| {
        let cli = parse(words.iter().map(|&word| word.into()).collect()).unwrap();
        cli.node.options(Access::Command).unwrap().config
    };
    assert_eq!(config(&["meshhost", "--data", "/d", "serve"]), Config::Usual(None));
    for words in [
        ["meshhost", "--data=/d", "serve", "--config", "/c/../node.toml"],
        ["meshhost", "--data=/d", "--config", "/node.toml", "doctor"],
    ] {
        assert_eq!(config(&words), Config::Given("/node.toml".into()));
    }
}

#[test]
fn work_that_cannot_be_stopped_does_not_keep_the_process() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let left = run_to_end(async {
        let begun = Arc::new(tokio::sync::Notify::new());
        let begins = Arc::clone(&begun);
        drop(tokio::task::spawn_blocking(move || {
            begins.notify_one();
            held.recv()
        }));
        begun.notified().await;
        Ok("ended")
    });
    assert_eq!(left.unwrap(), "ended");
    drop(release);
}

#[test]
fn what_clap_refuses_is_a_usage_error_and_help_is_none() {
    let end = |words: &[&str]| {
        parse(words.iter().map(|&word| word.into()).collect()).map(|_| ()).unwrap_err()
    };
    assert_eq!(end(&["meshhost", "--version"]), Exit::Success);
    assert_eq!(end(&["meshhost", "call"]), Exit::Usage);
    assert_eq!(end(&["meshhost", "plugin", "install"]), Exit::Usage);
    assert_eq!(end(&["meshhost", "explain", "--nothing", "--json"]), Exit::Usage);
}
