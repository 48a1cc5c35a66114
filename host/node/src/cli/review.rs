//! What a plugin asks for and what it has, as cards for a person.

use meshhost_core::limits::Limits;

use super::text::{
    BOLD, DIM, GREEN, WIDTH, YELLOW, bytes, clean_line, count, milliseconds, styled, thousands,
    wrap,
};
use crate::api::{AskView, CapabilityView, PluginView, Review};

/// Width of the labels on the left, with their indent.
const LABEL: usize = 14;
/// Hexadecimal digits of a digest that a person compares.
const DIGEST_DIGITS: usize = 12;

/// The card before consent: what the component is, asks for, can reach and offers.
pub(crate) fn card(review: &Review) -> String {
    let digest = short_digest(&review.component.to_string());
    let name = format!("{} {}", review.name, clean_line(&review.version));
    let mut text =
        format!("\n  {}   {digest}   {}\n", styled(BOLD, &name), bytes(review.size_bytes));
    if !review.description.is_empty() {
        text.push_str(&wrap("  ", &clean_line(&review.description)));
        text.push('\n');
    }
    text.push('\n');
    rows(&mut text, "provides", review.capabilities.iter().map(offer));
    if review.asks.is_empty() {
        let nothing = if review.has_manifest { "nothing" } else { "nothing (it has no manifest)" };
        rows(&mut text, "asks for", [nothing.to_owned()]);
    } else {
        asks(&mut text, &review.asks);
    }
    rows(&mut text, "can reach", review.can_reach.iter().map(|line| clean_line(line).into_owned()));
    rows(&mut text, "limits", [limits(&review.limits)]);
    rows(&mut text, "changes", review.changes.iter().map(|line| clean_line(line).into_owned()));
    rows(&mut text, "note", review.notes.iter().map(|line| clean_line(line).into_owned()));
    text.push('\n');
    text
}

/// An installed plugin: what it asks for, was granted, and what is left of that.
pub(crate) fn permissions(plugin: &PluginView) -> String {
    let name = format!("{} {}", plugin.name, clean_line(&plugin.version));
    let digest = short_digest(&plugin.component.to_string());
    let mut text =
        format!("\n  {}   {digest}   {}\n\n", styled(BOLD, &name), clean_line(&plugin.state));
    if plugin.asks.is_empty() {
        rows(&mut text, "asks for", ["nothing".to_owned()]);
    } else {
        asks(&mut text, &plugin.asks);
    }
    rows(&mut text, "granted", or_nothing(plugin.grants.iter().map(|one| permission(one))));
    let differs = plugin.effective != plugin.grants;
    if differs {
        let effective = or_nothing(plugin.effective.iter().map(|one| permission(one)));
        rows(&mut text, "in effect", effective);
    }
    rows(&mut text, "limits", [limits(&plugin.limits)]);
    let ids: Vec<&str> = plugin.capabilities.iter().map(|id| id.as_str()).collect();
    rows(&mut text, "provides", or_nothing(ids.iter().map(|&id| id.to_owned())));
    if let Some(staged) = &plugin.staged {
        rows(&mut text, "staged", ["an update waits for consent; this lets it serve:".to_owned()]);
        // Whole on its line, so that it can be copied.
        text.push_str(&format!(
            "\nmeshhost plugin update {} --approve --digest {staged}\n\n",
            plugin.name
        ));
    }
    rows(&mut text, "note", plugin.notes.iter().map(|line| clean_line(line).into_owned()));
    text.push('\n');
    text
}

/// One line for each thing that a component asks for, with its reason below.
fn asks(text: &mut String, asks: &[AskView]) {
    for (place, ask) in asks.iter().enumerate() {
        let label = if place == 0 { "asks for" } else { "" };
        let state = if ask.granted {
            styled(GREEN, " (granted)")
        } else if ask.optional {
            styled(DIM, " (optional)")
        } else {
            String::new()
        };
        text.push_str(&format!("  {label:<12}{}{state}\n", permission(&ask.permission)));
        if let Some(choice) = &ask.needs_choice {
            let line = wrap(&" ".repeat(LABEL + 2), &clean_line(choice));
            text.push_str(&format!("{}\n", styled(YELLOW, &line)));
        }
        if !ask.reason.is_empty() {
            let line = wrap(&" ".repeat(LABEL + 2), &clean_line(&ask.reason));
            text.push_str(&format!("{}\n", styled(DIM, &line)));
        }
    }
}

/// A permission in words and as it is written.
pub(crate) fn permission(written: &str) -> String {
    format!("{:<19} {}", words(written), clean_line(written))
}

/// What a permission allows, in words.
fn words(written: &str) -> &'static str {
    let name = written.split('=').next().unwrap_or_default();
    match name {
        "fs:ro" => "read files",
        "fs:git" => "read, commit in git",
        "fs:rw" => "read, write files",
        "fs:rw+exec" => "write programs too",
        "net" => "network",
        "net-range" => "private network",
        "env" => "environment",
        "clock" => "clock",
        "random" => "random numbers",
        "kv" => "store data",
        "index" => "search documents",
        "call" => "call capabilities",
        "model" => "run a model",
        "stdout" => "print",
        "log" => "log",
        _ => "other",
    }
}

/// The limits that people ask about; `plugin permissions --json` has all.
fn limits(limits: &Limits) -> String {
    format!(
        "{} memory · {} · {} fuel · {} calls at once",
        bytes(limits.memory_bytes),
        milliseconds(limits.deadline_ms),
        thousands(limits.fuel),
        limits.concurrency,
    )
}

fn offer(capability: &CapabilityView) -> String {
    let description = capability.description.lines().next().unwrap_or_default();
    let text = format!("{}  {}", capability.id, clean_line(description));
    super::text::shorten(text.trim_end(), WIDTH - LABEL)
}

fn or_nothing(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
}

/// Lines with a label before the first.
fn rows(text: &mut String, label: &str, lines: impl IntoIterator<Item = String>) {
    for (place, line) in lines.into_iter().enumerate() {
        let label = if place == 0 { label } else { "" };
        text.push_str(&wrap(&format!("  {label:<12}"), &line));
        text.push('\n');
    }
}

/// Enough of a digest to compare by eye.
pub(crate) fn short_digest(digest: &str) -> String {
    let hex = digest.strip_prefix("blake3:").unwrap_or(digest);
    format!("blake3:{}…", hex.chars().take(DIGEST_DIGITS).collect::<String>())
}

/// What changed for a plugin, in one line and its state.
pub(crate) fn done(what: &str, plugin: &PluginView) -> String {
    let name = format!("{} {}", plugin.name, clean_line(&plugin.version));
    let granted = if plugin.effective.is_empty() {
        "may use nothing".to_owned()
    } else {
        format!("may use {}", count(plugin.effective.len(), "permission"))
    };
    format!(
        "{} {what}: {}, {granted}, {}\n",
        styled(BOLD, &name),
        clean_line(&plugin.state),
        count(plugin.capabilities.len(), "capability"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_card_shows_all_that_consent_is_about() {
        let text = plain(&card(&fixture::review()));
        for words in [
            "git 0.1.0   blake3:",
            "asks for    read files          fs:ro\n",
            "you choose the folder",
            "repositories are read",
            "network             net=https://api.example.org (optional)",
            "can reach   nothing else",
            "limits      256 MiB memory · 30 s · 10,000,000,000 fuel · 16 calls at once",
            "provides    git.log  Commits",
            "note        git.log is also offered",
        ] {
            assert!(text.contains(words), "{words:?} is missing in:\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_manifest_cannot_write_lines_of_its_own() {
        let mut review = fixture::review();
        review.description = "nice\n  asks for    nothing\x1b[8m".to_owned();
        review.asks[0].reason = "why\n  asks for    nothing\u{202e}".to_owned();
        let text = plain(&card(&review));
        let lines = text.lines().filter(|line| line.starts_with("  asks for"));
        assert_eq!(lines.count(), 1, "{text}");
        assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text:?}");
    }

    #[test]
    fn a_component_without_manifest_asks_for_nothing() {
        let mut review = fixture::review();
        review.has_manifest = false;
        review.asks.clear();
        let text = plain(&card(&review));
        assert!(text.contains("asks for    nothing (it has no manifest)"), "{text}");
    }

    #[test]
    fn permissions_show_what_is_left_only_when_it_differs() {
        let mut plugin = fixture::plugin();
        let text = plain(&permissions(&plugin));
        assert!(text.contains("granted     read files          fs:ro=/home/me/src"), "{text}");
        assert!(!text.contains("in effect"), "{text}");
        plugin.effective.clear();
        plugin.staged = Some(plugin.component);
        let text = plain(&permissions(&plugin));
        assert!(text.contains("in effect   nothing"), "{text}");
        assert!(text.contains("--approve --digest blake3:"), "{text}");
    }

    #[test]
    fn a_change_is_one_line() {
        let text = plain(&done("is installed", &fixture::plugin()));
        assert_eq!(text, "git 0.1.0 is installed: serving, may use 1 permission, 1 capability\n");
    }
}
