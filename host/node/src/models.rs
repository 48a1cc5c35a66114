//! The models of this node: added from packages and files, listed, checked and removed. A model's
//! bytes are copied once, under the digest of what was read, and its record is one document of the
//! store. Nothing of a model is parsed here.
//!
//! [`Catalogue`] is what calls see; [`ModelStore`] changes it, one change after the other: files,
//! evidence, record, catalogue, in that order, so that a crash at any point leaves what was there
//! before. Files that no record names are removed at the next change or start.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use meshhost_core::{
    code::Code,
    config::InferenceConfig,
    evidence::{event::EventType, fact::Facts},
    id::{Digest, ModelName},
    inference::FILE_BYTES_MAX,
    outcome::Refusal,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    api::{AddedModel, DamagedFile, ModelChange, ModelVerification},
    blocking,
    entrance::Entrance,
    lifecycle::Lifecycle,
    store::models::{ModelFile, ModelRecord, ModelRows},
};

mod files;
mod package;
mod served;

use package::Planned;

/// Models that a node keeps at most.
const MODELS_MAX: usize = 512;

/// The models as calls see them.
#[derive(Debug)]
pub struct Catalogue {
    folder: PathBuf,
    models: RwLock<Arc<BTreeMap<ModelName, Arc<ModelRecord>>>>,
}

impl Catalogue {
    fn new(folder: PathBuf) -> Self {
        Self { folder, models: RwLock::default() }
    }

    /// All models at this moment, by name.
    #[must_use]
    pub fn snapshot(&self) -> Arc<BTreeMap<ModelName, Arc<ModelRecord>>> {
        Arc::clone(&self.models.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The model that a name means now.
    #[must_use]
    pub fn digest_of(&self, name: &str) -> Option<Digest> {
        let name: ModelName = name.parse().ok()?;
        self.snapshot().get(&name).map(|model| model.digest)
    }

    /// The model with this digest. No two names have the same.
    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<Arc<ModelRecord>> {
        self.snapshot().values().find(|model| model.digest == *digest).cloned()
    }

    /// Where the file with this digest is, absolute.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        files::path(&self.folder, digest)
    }

    fn replace(&self, models: BTreeMap<ModelName, Arc<ModelRecord>>) {
        *self.models.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(models);
    }
}

/// Adds, checks and removes models.
#[derive(Debug)]
pub struct ModelStore {
    catalogue: Arc<Catalogue>,
    rows: ModelRows,
    lifecycle: Lifecycle,
    /// Bytes of the file of one model.
    model_bytes: u64,
    /// Bytes of the files of all models.
    store_bytes: u64,
    /// Held during each change.
    changing: Arc<Mutex<()>>,
}

/// Held while something changes. It goes along with work that outlives its caller.
type Changing = OwnedMutexGuard<()>;

impl ModelStore {
    /// The models in `folder`, as `rows` know them.
    ///
    /// # Errors
    /// When they cannot be read, or what an interrupted change left behind cannot be removed.
    pub async fn open(
        folder: PathBuf,
        rows: ModelRows,
        lifecycle: Lifecycle,
        config: &InferenceConfig,
    ) -> Result<Self, Refusal> {
        let store = Self {
            catalogue: Arc::new(Catalogue::new(folder)),
            rows,
            lifecycle,
            model_bytes: config.model_bytes,
            store_bytes: config.store_bytes,
            changing: Arc::default(),
        };
        let changing = store.change().await;
        store.refresh(changing).await?;
        Ok(store)
    }

    /// What calls see.
    #[must_use]
    pub const fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// One model.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is none of that name.
    pub fn model(&self, name: &ModelName) -> Result<Arc<ModelRecord>, Refusal> {
        self.catalogue.snapshot().get(name).cloned().ok_or_else(|| {
            let message = format!("there is no model {name}; `meshhost model list` shows all");
            Refusal::new(Code::NotFound, message)
        })
    }

    /// Adds the models that `from` has under this name, all or none: a package's folder, or files.
    /// What has the name already is replaced.
    ///
    /// # Errors
    /// When the package is not right, a file is no regular one or too large, or the store is full.
    pub async fn add(
        &self,
        entrance: &Entrance,
        name: ModelName,
        from: Vec<PathBuf>,
    ) -> Result<Vec<AddedModel>, Refusal> {
        let changing = self.change().await;
        let (changing, records) = self.copy(changing, name, from).await?;
        let added = match records {
            Ok(records) => self.commit(entrance, records).await,
            Err(refusal) => Err(refusal),
        };
        // Also after a failure: what was copied in is removed again.
        self.refresh(changing).await?;
        added
    }

    async fn copy(
        &self,
        changing: Changing,
        name: ModelName,
        from: Vec<PathBuf>,
    ) -> Result<(Changing, Result<Vec<ModelRecord>, Refusal>), Refusal> {
        let copying = Copying {
            folder: self.catalogue.folder.clone(),
            before: self.catalogue.snapshot(),
            model_bytes: self.model_bytes,
            store_bytes: self.store_bytes,
        };
        // The guard goes along: the work goes on when nobody waits for it any more.
        let work = move || (changing, copying.copy(&name, &from));
        blocking::run(work).await
    }

    async fn commit(
        &self,
        entrance: &Entrance,
        records: Vec<ModelRecord>,
    ) -> Result<Vec<AddedModel>, Refusal> {
        let before = self.catalogue.snapshot();
        let mut added = Vec::new();
        for record in &records {
            let (change, replaced) = match before.get(&record.name) {
                None => (ModelChange::Added, None),
                Some(old) if **old == *record => (ModelChange::Unchanged, None),
                Some(old) => (ModelChange::Updated, Some(old.digest)),
            };
            let event = match change {
                ModelChange::Added => Some(EventType::ModelAdded),
                ModelChange::Updated => Some(EventType::ModelUpdated),
                ModelChange::Unchanged => None,
            };
            if let Some(event) = event {
                self.lifecycle.record(entrance, event, facts(record)).await?;
            }
            added.push(AddedModel { model: record.clone(), change, replaced });
        }
        self.rows.save(&records).await.map_err(|error| error.refusal())?;
        Ok(added)
    }

    /// Removes a model. Calls do not find it any more; its evidence stays.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is none of that name; else the fault of the store.
    pub async fn remove(
        &self,
        entrance: &Entrance,
        name: &ModelName,
    ) -> Result<Arc<ModelRecord>, Refusal> {
        let changing = self.change().await;
        let record = self.model(name)?;
        self.lifecycle.record(entrance, EventType::ModelRemoved, facts(&record)).await?;
        self.rows.remove(name).await.map_err(|error| error.refusal())?;
        self.refresh(changing).await?;
        Ok(record)
    }

    /// Reads every file of one model, or of all, and compares it with its digest.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is none of that name. What is damaged is no error.
    pub async fn verify(&self, name: Option<&ModelName>) -> Result<ModelVerification, Refusal> {
        let changing = self.change().await;
        let models: Vec<Arc<ModelRecord>> = match name {
            Some(name) => vec![self.model(name)?],
            None => self.catalogue.snapshot().values().cloned().collect(),
        };
        let folder = self.catalogue.folder.clone();
        let work = move || {
            let _changing = changing;
            verify(&folder, &models)
        };
        blocking::run(work).await
    }

    async fn change(&self) -> Changing {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// Lets calls see what is kept, and removes files that nothing names. It asks the database,
    /// because a change whose caller went away may have come further than the catalogue knows.
    async fn refresh(&self, changing: Changing) -> Result<(), Refusal> {
        let records = self.rows.load_all().await.map_err(|error| error.refusal())?;
        let kept = records.iter().flat_map(parts).map(|(digest, _)| digest).collect();
        let models = records.into_iter().map(|record| (record.name.clone(), Arc::new(record)));
        self.catalogue.replace(models.collect());
        let folder = self.catalogue.folder.clone();
        let work = move || {
            let _changing = changing;
            files::sweep(&folder, &kept)
        };
        blocking::run(work).await?
    }
}

/// What it takes to copy models in.
struct Copying {
    folder: PathBuf,
    before: Arc<BTreeMap<ModelName, Arc<ModelRecord>>>,
    model_bytes: u64,
    store_bytes: u64,
}

impl Copying {
    fn copy(&self, name: &ModelName, from: &[PathBuf]) -> Result<Vec<ModelRecord>, Refusal> {
        let mut records: Vec<ModelRecord> = Vec::new();
        for planned in package::read(name, from)? {
            let record = self.copy_one(planned)?;
            self.check_room(&records, &record)?;
            records.push(record);
        }
        files::sync(&self.folder)?;
        Ok(records)
    }

    fn copy_one(&self, planned: Planned) -> Result<ModelRecord, Refusal> {
        let copy_in = |path: &_, most| files::copy_in(&self.folder, path, planned.links, most);
        let (digest, bytes) = copy_in(&planned.file, self.model_bytes)?;
        let mut beside = Vec::new();
        for (name, path) in &planned.files {
            let (digest, bytes) = copy_in(path, FILE_BYTES_MAX)?;
            beside.push(ModelFile { name: name.clone(), digest, bytes });
        }
        Ok(ModelRecord {
            name: planned.name,
            digest,
            bytes,
            files: beside,
            task: planned.task,
            batch_rows: planned.batch_rows,
            licence: planned.licence,
            source: planned.source,
        })
    }

    /// A file is one model: calls name models by digest, and each has its own files and task.
    fn check_room(&self, records: &[ModelRecord], record: &ModelRecord) -> Result<(), Refusal> {
        let refuse = |message| Err(Refusal::new(Code::ModelInvalid, message));
        let replaced =
            |name: &ModelName| records.iter().chain([record]).any(|new| new.name == *name);
        let stays = self.before.values().map(AsRef::as_ref).filter(|old| !replaced(&old.name));
        let others: Vec<&ModelRecord> = stays.chain(records).collect();
        if let Some(same) = others.iter().find(|other| other.digest == record.digest) {
            return refuse(format!(
                "{} is the same file as the model {}; use that one, or remove it first",
                record.name, same.name
            ));
        }
        if others.len() >= MODELS_MAX {
            return refuse(format!("the node has {MODELS_MAX} models, the most; remove one first"));
        }
        let distinct: BTreeMap<Digest, u64> =
            others.into_iter().chain([record]).flat_map(parts).collect();
        let bytes: u64 = distinct.values().sum();
        if bytes > self.store_bytes {
            return refuse(format!(
                "the models would take {bytes} bytes and may take {}; remove one, or raise \
                 `store_bytes` under [inference] in meshhost.toml",
                self.store_bytes
            ));
        }
        Ok(())
    }
}

/// Digest and length of every file of a model.
fn parts(record: &ModelRecord) -> impl Iterator<Item = (Digest, u64)> {
    let files = record.files.iter().map(|file| (file.digest, file.bytes));
    std::iter::once((record.digest, record.bytes)).chain(files)
}

/// What the record says of a model: nothing that its author wrote.
fn facts(record: &ModelRecord) -> Facts {
    Facts::new()
        .text("model", record.name.to_string())
        .digest("digest", &record.digest)
        .count("size_bytes", record.bytes)
        .texts("files", record.files.iter().map(|file| file.digest.to_string()).collect())
        .text("task", record.task.name())
}

fn verify(folder: &std::path::Path, models: &[Arc<ModelRecord>]) -> ModelVerification {
    let mut seen = BTreeSet::new();
    let mut report = ModelVerification::default();
    for model in models {
        let own = (None, model.digest, model.bytes);
        let beside =
            model.files.iter().map(|file| (Some(file.name.clone()), file.digest, file.bytes));
        for (file, digest, bytes) in std::iter::once(own).chain(beside) {
            let problem = files::problem(folder, &digest, bytes);
            if seen.insert(digest) {
                report.files += 1;
                report.bytes += bytes;
            }
            report.damaged.extend(problem.map(|problem| DamagedFile {
                model: model.name.clone(),
                file,
                digest,
                problem: problem.to_owned(),
            }));
        }
    }
    report
}

#[cfg(test)]
mod tests;
