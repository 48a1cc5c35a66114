//! `branches`, `tags` and `refs`.

use gix::bstr::ByteSlice;
use gix::refs::TargetRef;
use gix::{Reference as Found, Repository};

use crate::describe;
use crate::failure::fault;
use crate::repository::{Branch, Error, Reference, Tag, TagAnnotation};

/// All references under a prefix, sorted by name. One that is damaged or leads nowhere is left
/// out, as git warns and goes on.
fn all<'repo>(repo: &'repo Repository, prefix: &str) -> Result<Vec<Found<'repo>>, Error> {
    let platform = repo.references().map_err(fault)?;
    let mut found: Vec<_> = platform.all().map_err(fault)?.filter_map(Result::ok).collect();
    found.retain(|one| one.name().as_bstr().starts_with(prefix.as_bytes()));
    found.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(found)
}

/// Branches by name.
pub(crate) fn branches(
    repo: &Repository,
    remotes: bool,
    limit: usize,
) -> Result<Vec<Branch>, Error> {
    let head = repo.head_name().map_err(fault)?;
    let mut found = all(repo, "refs/heads/")?;
    if remotes {
        found.extend(all(repo, "refs/remotes/")?);
    }
    let mut branches = Vec::new();
    for mut one in found {
        let name = one.name().to_owned();
        let Ok(id) = one.peel_to_id() else { continue };
        if branches.len() == limit {
            break;
        }
        branches.push(Branch {
            name: name.shorten().to_str_lossy().into_owned(),
            id: id.to_string(),
            current: head.as_ref() == Some(&name),
            remote: name.as_bstr().starts_with(b"refs/remotes/"),
            upstream: upstream(repo, &name.shorten().to_str_lossy()),
        });
    }
    Ok(branches)
}

/// The branch that another follows, as configured. gix looks it up in trusted configuration
/// alone; a name does no harm.
fn upstream(repo: &Repository, branch: &str) -> Option<String> {
    let config = repo.config_snapshot();
    let part = |key: &str| {
        let value = config.string(format!("branch.{branch}.{key}").as_str())?;
        Some(value.to_str_lossy().into_owned())
    };
    let (remote, merge) = (part("remote")?, part("merge")?);
    let name = merge.strip_prefix("refs/heads/").unwrap_or(&merge);
    Some(if remote == "." { name.to_owned() } else { format!("{remote}/{name}") })
}

/// Tags by name.
pub(crate) fn tags(repo: &Repository, limit: usize) -> Result<Vec<Tag>, Error> {
    let mut tags = Vec::new();
    for mut one in all(repo, "refs/tags/")? {
        let name = one.name().shorten().to_str_lossy().into_owned();
        let annotation = match one.target() {
            TargetRef::Object(id) => annotation(repo, id.to_owned())?,
            TargetRef::Symbolic(_) => None,
        };
        let Ok(id) = one.peel_to_id() else { continue };
        if tags.len() == limit {
            break;
        }
        tags.push(Tag { name, id: id.to_string(), annotation });
    }
    Ok(tags)
}

fn annotation(repo: &Repository, id: gix::ObjectId) -> Result<Option<TagAnnotation>, Error> {
    let Ok(object) = repo.find_object(id) else { return Ok(None) };
    let Ok(tag) = object.try_into_tag() else { return Ok(None) };
    let decoded = tag.decode().map_err(fault)?;
    let text = |bytes: &[u8]| bytes.to_str_lossy().into_owned();
    Ok(Some(TagAnnotation {
        id: id.to_string(),
        tagger: decoded.tagger.map(|header| describe::person(header, &text)),
        message: text(decoded.message),
    }))
}

/// References by name.
pub(crate) fn refs(repo: &Repository, prefix: &str, limit: usize) -> Result<Vec<Reference>, Error> {
    let mut references = Vec::new();
    for mut one in all(repo, prefix)? {
        let name = one.name().as_bstr().to_str_lossy().into_owned();
        let target = match one.target() {
            TargetRef::Symbolic(name) => Some(name.as_bstr().to_str_lossy().into_owned()),
            TargetRef::Object(_) => None,
        };
        let Ok(id) = one.follow_to_object() else { continue };
        if references.len() == limit {
            break;
        }
        references.push(Reference { name, id: id.to_string(), target });
    }
    Ok(references)
}
