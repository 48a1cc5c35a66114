//! The paths of folder permissions: how they are written, compared and made absolute.

use std::fmt;

/// Whether a grant (or ask) `own` reaches all that `other` names; each is guest name and host
/// folder. Without a folder on either side, any folder will do. Under its own name a folder
/// covers what lies inside; under another name only itself under that name.
pub(super) fn covers(
    own: (Option<&str>, Option<&str>),
    other: (Option<&str>, Option<&str>),
) -> bool {
    let (own_guest, own_host) = own;
    let (other_guest, other_host) = other;
    // An ask that names no guest path takes the folder under whatever name it is granted.
    let anywhere = (own_guest.is_none() && own_host.is_none())
        || (other_guest.is_none() && other_host.is_none());
    let same_name = own_guest == other_guest;
    let (Some(own_host), Some(other_host)) = (own_host, other_host) else {
        return anywhere || same_name;
    };
    let inside = own_guest.is_none() && is_inside(own_host, other_host);
    same_name && (inside || own_host == other_host)
}

/// Whether `path` lies inside `folder`; never when either has dot segments, which may lead out.
fn is_inside(folder: &str, path: &str) -> bool {
    if has_dots(folder) || has_dots(path) {
        return false;
    }
    let rest = if folder == "/" { Some(path) } else { path.strip_prefix(folder) };
    rest.is_some_and(|rest| rest.starts_with('/'))
}

pub(super) fn has_dots(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

pub(super) fn is_plain_absolute(path: &str) -> bool {
    path.starts_with('/') && !has_dots(path)
}

/// Whether the path begins with the home folder, `~` or `~/`.
pub(super) fn is_in_home(path: &str) -> bool {
    path == "~" || path.starts_with("~/")
}

/// Puts `~` and relative paths below absolute folders; `..` stays for the file system to resolve.
pub(super) fn absolute(path: &str, working_folder: &str, home: &str) -> String {
    let joined = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ if path.starts_with('/') => path.to_owned(),
        _ => format!("{working_folder}/{path}"),
    };
    simplified(&joined)
}

/// One spelling: no doubled slashes, no `.` segments but a leading one, no final slash.
pub(super) fn simplified(path: &str) -> String {
    let absolute = path.starts_with('/');
    let kept: Vec<&str> =
        path.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    let joined = kept.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        // `./~x` is a folder with that name, not a home folder.
        (false, false) if path.starts_with("./") && joined.starts_with('~') => {
            format!("./{joined}")
        }
        (false, false) => joined,
    }
}

/// Splits `guest=host` or `host` at the first `=` that no `\` precedes, and takes the escapes
/// away. `None` when an escape is not `\=` or `\\`, or when a second plain `=` follows.
pub(super) fn split_paths(text: &str) -> Option<(Option<String>, String)> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            '=' => {
                parts.push(String::new());
                continue;
            }
            '\\' => characters.next().filter(|next| matches!(next, '=' | '\\'))?,
            other => other,
        };
        parts.last_mut()?.push(plain);
    }
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(host), None, None) => Some((None, host)),
        (Some(guest), Some(host), None) => Some((Some(guest), host)),
        _ => None,
    }
}

/// Writes `=host`, `=guest=host`, `=guest=` or nothing.
pub(super) fn write_paths(
    formatter: &mut fmt::Formatter<'_>,
    guest: Option<&str>,
    host: Option<&str>,
) -> fmt::Result {
    let escape = |path: &str| path.replace('\\', "\\\\").replace('=', "\\=");
    if let Some(guest) = guest {
        write!(formatter, "={}", escape(guest))?;
    }
    match (guest, host) {
        (_, Some(host)) => write!(formatter, "={}", escape(host)),
        (Some(_), None) => formatter.write_str("="),
        (None, None) => Ok(()),
    }
}
