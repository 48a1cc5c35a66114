//! The only place that prints: plain lines, without colour, so that they read the same on a
//! terminal, in a log and in a pipe.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where printing happens")]

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Instant;

/// A line of progress.
pub(crate) fn line(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
    // Whoever reads the other end may be gone; there is nothing to do about it.
    let _ = io::stdout().flush();
}

/// An error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

/// Says what is begun, does it, and says how long it took.
pub(crate) fn timed<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    line(format!("{what} ..."));
    let begun = Instant::now();
    let done = work()?;
    line(format!("{what}: done in {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(done)
}

/// Asks a yes-or-no question. Without a terminal the answer is no.
pub(crate) fn ask(question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    print!("{question} [y/N] ");
    let _ = io::stdout().flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok_and(|_| answer.trim().eq_ignore_ascii_case("y"))
}
