//! Commits, people and times as the contract shows them.

use gix::actor::SignatureRef;
use gix::bstr::ByteSlice;
use gix::date::Time;
use gix::objs::CommitRef;
use jiff::{Timestamp, tz};

use crate::repository::{CommitInfo, Signature};

/// A decoded commit.
pub(crate) fn commit(id: gix::ObjectId, commit: &CommitRef<'_>) -> CommitInfo {
    let text = |bytes: &[u8]| decoded(bytes, commit.encoding.map(|name| name.as_bytes()));
    let (summary, body) = message(&text(commit.message));
    let parents = commit.parents().map(|parent| parent.to_string()).collect();
    let author = person(commit.author, &text);
    let committer = person(commit.committer, &text);
    CommitInfo { id: id.to_string(), parents, author, committer, summary, body }
}

/// A header line `NAME <EMAIL> SECONDS OFFSET`.
pub(crate) fn person(header: &[u8], text: &impl Fn(&[u8]) -> String) -> Signature {
    let parsed = SignatureRef::from_bytes(header).map(|signature| signature.trim());
    let Ok(SignatureRef { name, email, time }) = parsed else {
        return Signature {
            name: text(header),
            email: String::new(),
            time: rfc3339(Time::default()),
        };
    };
    let time = gix::date::parse_header(time).unwrap_or_default();
    Signature { name: text(name), email: text(email), time: rfc3339(time) }
}

/// A time with the offset that was recorded. What cannot be one is shown as 1970, as git does.
fn rfc3339(time: Time) -> String {
    let zoned = Timestamp::from_second(time.seconds)
        .ok()
        .zip(tz::Offset::from_seconds(time.offset).ok())
        .map(|(timestamp, offset)| timestamp.to_zoned(offset.to_time_zone()));
    zoned.map_or_else(
        || "1970-01-01T00:00:00+00:00".to_owned(),
        |zoned| zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
    )
}

/// Summary and body: git's `%s` and `%b`.
fn message(message: &str) -> (String, String) {
    let mut rest = message.trim_start_matches('\n');
    let mut summary = String::new();
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let line = line.trim_end();
        if line.is_empty() {
            if summary.is_empty() {
                continue;
            }
            break;
        }
        if !summary.is_empty() {
            summary.push(' ');
        }
        summary.push_str(line);
    }
    let mut body = rest;
    while let Some((line, after)) = body.split_once('\n') {
        if !line.trim().is_empty() {
            break;
        }
        body = after;
    }
    (summary, body.to_owned())
}

/// Text in the encoding that a commit names; UTF-8 and Latin-1 are known.
fn decoded(bytes: &[u8], encoding: Option<&[u8]>) -> String {
    match encoding {
        Some(name)
            if [b"iso-8859-1".as_slice(), b"iso8859-1", b"latin1", b"latin-1"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known)) =>
        {
            bytes.iter().copied().map(char::from).collect()
        }
        _ => bytes.to_str_lossy().into_owned(),
    }
}
