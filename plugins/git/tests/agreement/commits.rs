//! `log`, `blame`, `branches`, `tags` and `refs`.

use meshhost_git::Plugin;
use meshhost_git::repository::{CommitInfo, Error, Guest};

use crate::support::Repo;

const FORMAT: &str = "--format=%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%s%x00%b%x01";

fn shown(commit: &CommitInfo) -> String {
    let parents = commit.parents.join(" ");
    let person = |one: &meshhost_git::repository::Signature| {
        format!("{}\0{}\0{}", one.name, one.email, one.time)
    };
    let (author, committer) = (person(&commit.author), person(&commit.committer));
    let body = commit.body.trim_end();
    format!("{}\0{parents}\0{author}\0{committer}\0{}\0{body}", commit.id, commit.summary)
}

fn by_git(repo: &Repo, arguments: &[&str]) -> Vec<String> {
    // git shortens an offset of zero.
    let output = repo.git(&[&["log", FORMAT], arguments].concat()).replace("Z\0", "+00:00\0");
    let commits = output.split('\x01').map(str::trim).filter(|one| !one.is_empty());
    commits.map(|one| one.trim_end().to_owned()).collect()
}

fn by_plugin(repo: &Repo, revision: Option<&str>, file: Option<&str>) -> Vec<String> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let history =
        Plugin::log(repo.arg(), owned(revision), Some(10_000), None, owned(file)).unwrap();
    assert!(!history.truncated);
    history.commits.iter().map(|one| shown(one).trim_end().to_owned()).collect()
}

#[test]
fn log_agrees_for_revisions_ranges_and_paths() {
    let repo = Repo::rich();
    for revision in
        ["HEAD", "side", "v1.0", "HEAD~3", "light..HEAD", "side..main", "main..side", "HEAD.."]
    {
        assert_eq!(
            by_plugin(&repo, Some(revision), None),
            by_git(&repo, &[revision]),
            "{revision}"
        );
    }
    for file in
        ["a.txt", "src", "src/renamed.rs", "side.txt", "moved away.txt", "new\nline", "none"]
    {
        assert_eq!(by_plugin(&repo, None, Some(file)), by_git(&repo, &["--", file]), "{file:?}");
    }
}

#[test]
fn log_agrees_when_times_are_equal_or_run_backwards() {
    let repo = Repo::empty();
    let at = |time: u64, message: &str| {
        let date = format!("GIT_COMMITTER_DATE={time} +0000");
        let status = crate::support::git_command(repo.path())
            .env("GIT_COMMITTER_DATE", &date["GIT_COMMITTER_DATE=".len()..])
            .args(["commit", "--quiet", "--allow-empty", "--message", message])
            .status();
        assert!(status.unwrap().success());
    };
    at(1_000_000_500, "late first");
    at(1_000_000_100, "earlier child");
    repo.git(&["branch", "b"]);
    at(1_000_000_100, "same time on main");
    repo.git(&["checkout", "--quiet", "b"]);
    at(1_000_000_100, "same time on b");
    at(1_000_000_050, "backwards on b");
    repo.git(&["checkout", "--quiet", "main"]);
    repo.git(&["merge", "--quiet", "--no-ff", "--message", "m", "b"]);
    assert_eq!(by_plugin(&repo, None, None), by_git(&repo, &[]));
}

#[test]
fn log_is_bounded_and_pages() {
    let repo = Repo::rich();
    let all = by_git(&repo, &[]);
    let page = Plugin::log(repo.arg(), None, Some(2), Some(1), None).unwrap();
    let page_shown: Vec<_> =
        page.commits.iter().map(|one| shown(one).trim_end().to_owned()).collect();
    assert_eq!(page_shown, all[1..3]);
    assert!(page.truncated);
}

#[test]
fn log_reads_a_recorded_encoding() {
    let repo = Repo::empty();
    let message = repo.path().join("message");
    std::fs::write(&message, b"caf\xe9\n").unwrap();
    let file = message.to_str().unwrap();
    repo.git(&[
        "-c",
        "i18n.commitEncoding=ISO-8859-1",
        "commit",
        "--quiet",
        "--allow-empty",
        "-F",
        file,
    ]);
    assert_eq!(by_plugin(&repo, None, None), by_git(&repo, &[]));
}

#[test]
fn unknown_revisions_are_named() {
    let repo = Repo::rich();
    for revision in ["nope", "HEAD~99", "main..nope", "", "a...b"] {
        let refused = Plugin::log(repo.arg(), Some(revision.to_owned()), None, None, None);
        let error = refused.unwrap_err();
        assert!(
            matches!(error, Error::UnknownRevision(_) | Error::Invalid(_)),
            "{revision}: {error:?}"
        );
    }
}

#[test]
fn blame_agrees_line_by_line() {
    let repo = Repo::rich();
    for file in ["moved away.txt", "src/renamed.rs", "side.txt", "no-newline", "ünïcode/日本"] {
        let porcelain = repo.git(&["blame", "--line-porcelain", "--", file]);
        let expected: Vec<_> = porcelain
            .lines()
            .filter(|line| {
                line.split(' ')
                    .next()
                    .is_some_and(|id| id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()))
            })
            .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
            .collect();
        let blamed = Plugin::blame(repo.arg(), file.to_owned(), None, None, None).unwrap();
        let found: Vec<_> = blamed
            .iter()
            .flat_map(|hunk| {
                let line = move |n| {
                    format!("{} {} {}", hunk.commit, hunk.original_line + n, hunk.line + n)
                };
                (0..hunk.lines).map(line)
            })
            .collect();
        assert_eq!(found, expected, "{file}");
    }
    let part = Plugin::blame(repo.arg(), "moved away.txt".into(), None, Some(7), Some(8)).unwrap();
    assert_eq!(part.iter().map(|hunk| hunk.lines).sum::<u32>(), 2);
    assert_eq!(part[0].original_path.as_deref(), Some("a.txt"));
    let missing = Plugin::blame(repo.arg(), "none".into(), None, None, None);
    assert!(matches!(missing, Err(Error::UnknownFile(_))));
}

#[test]
fn references_agree() {
    let repo = Repo::rich();
    let list = |format: &str, prefix: &str| {
        let output = repo.git(&["for-each-ref", &format!("--format={format}"), prefix]);
        output.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let refs = Plugin::refs(repo.arg(), None, None).unwrap();
    let shown: Vec<_> = refs
        .iter()
        .map(|one| format!("{} {} {}", one.name, one.id, one.target.clone().unwrap_or_default()))
        .collect();
    assert_eq!(shown, list("%(refname) %(objectname) %(symref)", "refs/"));

    let branches = Plugin::branches(repo.arg(), None, None).unwrap();
    let shown: Vec<_> = branches
        .iter()
        .map(|one| format!("{}{} {}", if one.current { "*" } else { " " }, one.name, one.id))
        .collect();
    assert_eq!(shown, list("%(HEAD)%(refname:short) %(objectname)", "refs/heads/"));

    let tags = Plugin::tags(repo.arg(), None).unwrap();
    let shown: Vec<_> = tags
        .iter()
        .map(|one| match &one.annotation {
            Some(note) => format!(
                "{} {} {} {}",
                one.name,
                note.id,
                one.id,
                note.message.lines().next().unwrap()
            ),
            None => format!("{} {}", one.name, one.id),
        })
        .collect();
    assert_eq!(
        shown,
        ["light", "v1.0"].map(|tag| {
            let peeled = repo.git(&["rev-parse", &format!("{tag}^{{}}")]);
            match tag {
                "light" => format!("light {}", peeled.trim()),
                _ => format!(
                    "v1.0 {} {} An annotated tag",
                    repo.git(&["rev-parse", tag]).trim(),
                    peeled.trim()
                ),
            }
        })
    );
}

#[test]
fn upstreams_are_shown() {
    let repo = Repo::rich();
    let clone = tempfile::tempdir().unwrap();
    let source = repo.path().to_str().unwrap();
    repo.git(&["clone", "--quiet", source, clone.path().to_str().unwrap()]);
    let path = Some(clone.path().to_str().unwrap().to_owned());
    let branches = Plugin::branches(path, Some(true), None).unwrap();
    let main = branches.iter().find(|one| one.name == "main").unwrap();
    assert_eq!(main.upstream.as_deref(), Some("origin/main"));
    assert!(branches.iter().any(|one| one.name == "origin/side" && one.remote));
}
