//! `log`: commits in git's order, newest first by commit time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use gix::objs::CommitRef;
use gix::{ObjectId, Repository};

use crate::describe;
use crate::failure::fault;
use crate::open;
use crate::repository::{Error, History};
use crate::tree;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) revision: &'a str,
    pub(crate) limit: usize,
    pub(crate) skip: usize,
    pub(crate) file: Option<&'a str>,
}

/// Commits that can be reached.
pub(crate) fn log(repo: &Repository, query: &Query<'_>) -> Result<History, Error> {
    let (tip, hidden) = range(repo, query.revision)?;
    let mut walk = Walk::new(repo)?;
    if let Some(hidden) = hidden {
        walk.hide(hidden)?;
    }
    walk.push(tip)?;
    let path = query.file.map(tree::components).transpose()?;
    let mut commits = Vec::new();
    let mut skip = query.skip;
    while let Some(next) = walk.pop() {
        let commit = CommitRef::from_bytes(&next.data, repo.object_hash()).map_err(fault)?;
        let mut parents = walk.parents(&next.id, &commit);
        let shown = match &path {
            Some(path) => follow(repo, path, &commit, &mut parents)?,
            None => true,
        };
        for parent in parents {
            walk.push(parent)?;
        }
        if !shown {
            continue;
        }
        if skip > 0 {
            skip -= 1;
        } else if commits.len() == query.limit {
            return Ok(History { commits, truncated: true });
        } else {
            let mut info = describe::commit(next.id, &commit);
            if walk.is_shallow(&next.id) {
                info.parents.clear();
            }
            commits.push(info);
        }
    }
    Ok(History { commits, truncated: false })
}

/// Where a walk begins and what it leaves out.
fn range(repo: &Repository, revision: &str) -> Result<(ObjectId, Option<ObjectId>), Error> {
    let Some((old, new)) = revision.split_once("..") else {
        return Ok((open::commit(repo, revision)?.id, None));
    };
    if new.starts_with('.') {
        return Err(Error::Invalid(format!("{revision}: a range is written old..new")));
    }
    let or_head = |text: &str| if text.is_empty() { "HEAD".to_owned() } else { text.to_owned() };
    let from = open::commit(repo, &or_head(old))?.id;
    let to = open::commit(repo, &or_head(new))?.id;
    Ok((to, Some(from)))
}

/// Simplifies history for one path as git does: a commit that has it as one of its parents has
/// it is left out, and of a merge only that parent is followed.
fn follow(
    repo: &Repository,
    path: &[&[u8]],
    commit: &CommitRef<'_>,
    parents: &mut Vec<ObjectId>,
) -> Result<bool, Error> {
    let here = tree::entry_id(repo, commit.tree(), path)?;
    for parent in parents.iter() {
        let tree = repo.find_commit(*parent).map_err(fault)?.tree_id().map_err(fault)?.detach();
        if tree::entry_id(repo, tree, path)? == here {
            *parents = vec![*parent];
            return Ok(false);
        }
    }
    Ok(here.is_some() || !parents.is_empty())
}

/// A commit that waits: newest first, and among equals the one that was found first.
type Waiting = (i64, Reverse<u64>, ObjectId);

/// A walk over commits in git's order.
struct Walk<'repo> {
    repo: &'repo Repository,
    waiting: BinaryHeap<Waiting>,
    data: HashMap<ObjectId, Vec<u8>>,
    seen: HashSet<ObjectId>,
    shallow: Vec<ObjectId>,
    found: u64,
}

/// A commit on its way out.
struct Next {
    id: ObjectId,
    data: Vec<u8>,
}

impl<'repo> Walk<'repo> {
    fn new(repo: &'repo Repository) -> Result<Self, Error> {
        let shallow = repo.shallow_commits().map_err(fault)?;
        Ok(Self {
            repo,
            waiting: BinaryHeap::new(),
            data: HashMap::new(),
            seen: HashSet::new(),
            shallow: shallow.map(|commits| commits.iter().copied().collect()).unwrap_or_default(),
            found: 0,
        })
    }

    /// Leaves out everything that can be reached from `tip`.
    fn hide(&mut self, tip: ObjectId) -> Result<(), Error> {
        let mut pending = vec![tip];
        while let Some(id) = pending.pop() {
            if self.seen.insert(id) && !self.is_shallow(&id) {
                let commit = self.repo.find_commit(id).map_err(fault)?;
                pending.extend(commit.parent_ids().map(gix::Id::detach));
            }
        }
        Ok(())
    }

    fn push(&mut self, id: ObjectId) -> Result<(), Error> {
        if !self.seen.insert(id) {
            return Ok(());
        }
        let mut commit = self.repo.find_commit(id).map_err(fault)?;
        let time = commit.committer().ok().and_then(|c| gix::date::parse_header(c.time));
        self.waiting.push((time.map_or(0, |time| time.seconds), Reverse(self.found), id));
        self.found += 1;
        self.data.insert(id, commit.take_data());
        Ok(())
    }

    fn pop(&mut self) -> Option<Next> {
        let (_, _, id) = self.waiting.pop()?;
        let data = self.data.remove(&id)?;
        Some(Next { id, data })
    }

    fn parents(&self, id: &ObjectId, commit: &CommitRef<'_>) -> Vec<ObjectId> {
        if self.is_shallow(id) { Vec::new() } else { commit.parents().collect() }
    }

    /// Whether the repository was cut off below this commit.
    fn is_shallow(&self, id: &ObjectId) -> bool {
        self.shallow.binary_search(id).is_ok()
    }
}
