//! A command line program that knows nothing of meshhost: plain Rust for wasm32-wasip2. The first
//! argument says what it does. WASI 0.2 knows two ends of a program: well, and not.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What cannot be said is seen in the code.
            let _ = writeln!(io::stdout(), "{:?}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> io::Result<()> {
    match words {
        ["echo", texts @ ..] => echo(texts),
        ["read", path] => {
            let text = fs::read(path)?;
            io::stdout().write_all(&text)
        }
        ["watch", path, started] => watch(path, started),
        ["write", path, text] => fs::write(path, text),
        ["folder", path] => fs::create_dir(path),
        ["remove", path] => fs::remove_file(path),
        ["rename", old, new] => fs::rename(old, new),
        ["link", old, new] => fs::hard_link(old, new),
        ["symlink", target, path] => link_to(target, path),
        ["shout", bytes] => shout(&mut io::stdout(), bytes),
        ["complain", bytes] => shout(&mut io::stderr(), bytes),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Arguments one below the other, then standard input in capitals.
fn echo(texts: &[&str]) -> io::Result<()> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let mut out = io::stdout();
    for text in texts {
        writeln!(out, "{text}")?;
    }
    out.write_all(input.to_uppercase().as_bytes())
}

#[expect(deprecated, reason = "the other way to make a link is not stable for this target")]
fn link_to(target: &str, path: &str) -> io::Result<()> {
    fs::soft_link(target, path)
}

/// Makes `started`, then reads a file again and again until that does not work any more.
fn watch(path: &str, started: &str) -> io::Result<()> {
    fs::write(started, "")?;
    loop {
        fs::read(path)?;
    }
}

fn shout(to: &mut impl io::Write, bytes: &str) -> io::Result<()> {
    let line = [b'x'; 1024];
    let mut left: usize = bytes.parse().unwrap_or(0);
    while left > 0 {
        let now = left.min(line.len());
        to.write_all(line.get(..now).unwrap_or_default())?;
        left -= now;
    }
    Ok(())
}
