//! Path prefixes by whole segments. A path that servers may read as another one (dot segments,
//! encoded slashes and dots, backslashes) fits no prefix but `/`.

/// A path prefix in canonical form: `/`, or `/a/b` without a final slash. `None` when it holds
/// anything that is not plainly one path.
pub(super) fn parse_prefix(text: &str) -> Option<String> {
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    if trimmed.is_empty() {
        return Some("/".to_owned());
    }
    let segments = trimmed.strip_prefix('/')?;
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'?' | b'#' | b'\\');
    let fits = trimmed.bytes().all(plain)
        && segments.split('/').all(|segment| !segment.is_empty() && !is_dots(segment));
    fits.then(|| trimmed.to_owned())
}

/// Whether the request path is the prefix or lies below it. Allocates nothing.
pub(super) fn allows(prefix: &str, path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if !path.is_empty() && !path.starts_with('/') {
        return false;
    }
    prefix == "/" || (is_plain(path) && is_below(prefix, path))
}

/// Whether `path` is `prefix` or lies below it, by whole segments.
pub(super) fn is_below(prefix: &str, path: &str) -> bool {
    if prefix == "/" {
        return true;
    }
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the path has one reading: no dot segment in any spelling, no encoded separator, no
/// backslash, nothing outside printable ASCII.
fn is_plain(path: &str) -> bool {
    let printable = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    printable && !has_risky_escape(path.as_bytes()) && !path.split('/').any(is_dots)
}

/// `.` or `..`, also with parameters behind a semicolon: some servers cut those off first.
fn is_dots(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

/// `%2e`, `%2f`, `%5c`, `%3b` and `%00`, and `%25` before hexadecimal digits: they become a dot, a
/// slash, a backslash, a semicolon or another escape on the server's side.
fn has_risky_escape(path: &[u8]) -> bool {
    if !path.contains(&b'%') {
        return false;
    }
    let escapes = path.windows(3).filter(|window| window.first() == Some(&b'%'));
    let mut codes = escapes.filter_map(|window| window.get(1..3));
    codes.any(|code| {
        ["2e", "2f", "5c", "3b", "00", "25"]
            .iter()
            .any(|risky| code.eq_ignore_ascii_case(risky.as_bytes()))
    })
}
