//! Libraries that run models, as the operator installs them: one folder for each version, where the
//! node looks for them when it starts. A library is copied whole into a folder without a name, opened
//! there in a child process, and only then gets its name in one step: a crash at any point leaves what
//! was there before.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use meshhost_core::{
    code::Code,
    config::{InferenceEngines, InferenceProvider},
    evidence::{event::EventType, fact::Facts},
    outcome::Refusal,
};
use meshhost_inference::{Program, library};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    api::{InstalledRuntime, RuntimeChange, RuntimeFile},
    blocking,
    copy::{self, Copying},
    entrance::Entrance,
    lifecycle::Lifecycle,
    store::error::StoreError,
};

mod source;

use source::Source;

const COPYING: Copying =
    Copying { invalid: Code::RuntimeInvalid, operation: "keep a library that runs models" };
/// The folder of what is being installed. One change happens at a time.
const TEMPORARY: &str = ".new";
/// Bytes of all files of one version: with the parts for a graphics card it is 1 to 2 GiB.
const BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Installs libraries that run models.
#[derive(Debug)]
pub struct RuntimeStore {
    /// Has a folder for each version of ONNX Runtime.
    folder: PathBuf,
    lifecycle: Lifecycle,
    /// Held during each change.
    changing: Arc<Mutex<()>>,
}

/// Held while something changes. It goes along with work that outlives its caller.
type Changing = OwnedMutexGuard<()>;

impl RuntimeStore {
    /// The libraries below `runtimes`.
    ///
    /// # Errors
    /// When what an interrupted install left behind cannot be removed.
    pub async fn open(runtimes: PathBuf, lifecycle: Lifecycle) -> Result<Self, Refusal> {
        let folder = runtimes.join("onnxruntime");
        let store = Self { folder, lifecycle, changing: Arc::default() };
        store.sweep(store.change().await).await?;
        Ok(store)
    }

    /// Installs the library that `from` is, or that lies in that folder, absolute. `program` opens
    /// it in a child process first. One of the same version is replaced.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is nothing at `from`; [`Code::RuntimeInvalid`] when it is no
    /// usable library, too large or no regular file; else the fault of the store.
    pub async fn install(
        &self,
        entrance: &Entrance,
        program: Program,
        from: PathBuf,
    ) -> Result<InstalledRuntime, Refusal> {
        let changing = self.change().await;
        let folder = self.folder.clone();
        // The guard goes along: the work goes on when nobody waits for it any more.
        let work = move || (changing, copy_in(&folder, &program, &from));
        let (changing, copied) = blocking::run(work).await?;
        let installed = match copied {
            Ok(installed) => self.commit(entrance, installed).await,
            Err(refusal) => Err(refusal),
        };
        // What was refused, and what was replaced.
        self.sweep(changing).await?;
        installed
    }

    async fn commit(
        &self,
        entrance: &Entrance,
        installed: InstalledRuntime,
    ) -> Result<InstalledRuntime, Refusal> {
        if installed.change == RuntimeChange::Unchanged {
            return Ok(installed);
        }
        self.lifecycle.record(entrance, EventType::RuntimeInstalled, facts(&installed)).await?;
        let (folder, version) = (self.folder.clone(), installed.version.clone());
        blocking::run(move || serve(&folder, &version)).await??;
        Ok(installed)
    }

    async fn change(&self) -> Changing {
        Arc::clone(&self.changing).lock_owned().await
    }

    async fn sweep(&self, changing: Changing) -> Result<(), Refusal> {
        let temporary = self.folder.join(TEMPORARY);
        let work = move || {
            let _changing = changing;
            remove(&temporary)
        };
        blocking::run(work).await?.map_err(fault("remove a library that runs models"))
    }
}

/// Copies a library into the temporary folder and opens it there.
fn copy_in(folder: &Path, program: &Program, from: &Path) -> Result<InstalledRuntime, Refusal> {
    let source = source::find(from)?;
    let temporary = folder.join(TEMPORARY);
    let made = remove(&temporary).and_then(|()| {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        DirBuilder::new().mode(0o700).create(&temporary)
    });
    made.map_err(fault(COPYING.operation))?;
    let mut left = BYTES_MAX;
    let mut files = Vec::new();
    for (name, path) in &source.files {
        let (digest, bytes) = COPYING.copy(path, source.links, &temporary.join(name), left)?;
        left = left.saturating_sub(bytes);
        files.push(RuntimeFile { name: name.clone(), digest, bytes });
    }
    sync(&temporary).map_err(fault(COPYING.operation))?;
    // Whether it is good at all: what it has for a graphics card, `runtime list` says.
    let opened = library::probe(program, &temporary.join(&source.library), InferenceProvider::Cpu);
    if let Err(problem) = opened {
        let message = format!("{} cannot be used: {problem}", source.library);
        return Err(Refusal::new(Code::RuntimeInvalid, message));
    }
    described(folder, &source, files)
}

/// What is installed, beside what is there already.
fn described(
    folder: &Path,
    source: &Source,
    files: Vec<RuntimeFile>,
) -> Result<InstalledRuntime, Refusal> {
    let own = files.iter().find(|file| file.name == source.library).cloned();
    let own = own.ok_or_else(|| Refusal::new(Code::HostFault, "the library was not copied"))?;
    let there = folder.join(&source.version);
    let (change, replaced) = match fs::symlink_metadata(&there) {
        Err(error) if error.kind() == ErrorKind::NotFound => (RuntimeChange::Installed, None),
        Err(error) => return Err(fault(COPYING.operation)(error)),
        Ok(_) if same(&there, &files) => (RuntimeChange::Unchanged, None),
        Ok(_) => {
            let before = copy::digest(&there.join(&own.name), BYTES_MAX).ok();
            (RuntimeChange::Replaced, before.map(|(digest, _)| digest))
        }
    };
    Ok(InstalledRuntime {
        engine: InferenceEngines::OnnxRuntime.name().to_owned(),
        version: source.version.clone(),
        library: there.join(&own.name).display().to_string(),
        digest: own.digest,
        bytes: own.bytes,
        files: files.into_iter().filter(|file| file.name != own.name).collect(),
        change,
        replaced,
    })
}

/// Whether a folder holds these very files and nothing else.
fn same(folder: &Path, files: &[RuntimeFile]) -> bool {
    let count = fs::read_dir(folder).map(|entries| entries.take(files.len() + 1).count());
    count.is_ok_and(|count| count == files.len())
        && files.iter().all(|file| {
            let found = copy::digest(&folder.join(&file.name), file.bytes);
            found.is_ok_and(|found| found == (file.digest, file.bytes))
        })
}

/// Gives what was copied the name of its version. What had that name is in the temporary folder then.
fn serve(folder: &Path, version: &str) -> Result<(), Refusal> {
    let (temporary, named) = (folder.join(TEMPORARY), folder.join(version));
    let renamed = match renameat_with(CWD, &temporary, CWD, &named, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => {
            renameat_with(CWD, &temporary, CWD, &named, RenameFlags::EXCHANGE)
        }
        renamed => renamed,
    };
    let renamed = renamed.map_err(io::Error::from).and_then(|()| sync(folder));
    renamed.map_err(fault(COPYING.operation))
}

/// Makes the names in a folder survive a loss of power.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a folder with all that is in it, or what stands in its place; absent is as good.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn fault(operation: &'static str) -> impl FnOnce(io::Error) -> Refusal {
    move |error| StoreError::io(operation)(error).refusal()
}

/// What the record says of a library: nothing that names the machine.
fn facts(installed: &InstalledRuntime) -> Facts {
    let files = installed.files.iter().map(|file| file.digest.to_string()).collect();
    let replaced = installed.replaced.map(|digest| digest.to_string());
    Facts::new()
        .text("engine", installed.engine.clone())
        .text("version", installed.version.clone())
        .digest("digest", &installed.digest)
        .count("size_bytes", installed.bytes)
        .texts("files", files)
        .optional_text("replaced", replaced.as_deref())
}

#[cfg(test)]
mod tests;
