//! One session: loads its model, then runs what the node sends until it is unloaded.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::{Mutex, PoisonError, mpsc::Receiver},
    thread,
    time::Instant,
};

use meshhost_core::{
    id::Digest,
    inference::{InferenceError, InferenceErrorCode, Tensor},
};

use super::{Shared, SlotState, end};
use crate::{
    engine::Session,
    message::{LoadedModel, ModelSource, Reply, TextRows, Work},
    scan,
    text::TextPart,
    transfer::{Opened, TakeError},
};

/// A run that the node asked for.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: u64,
    pub(super) work: Work,
    pub(super) body: Vec<u8>,
}

/// A panic in an engine's glue leaves the node without an answer: the process ends instead.
struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            end();
        }
    }
}

/// The session's thread.
pub(super) fn serve(
    shared: &Shared,
    id: u64,
    source: &ModelSource,
    state: &Mutex<SlotState>,
    tasks: &Receiver<Task>,
) {
    let _end = EndOnPanic;
    let loaded = Loaded::load(shared, source);
    let (mut loaded, reply) = match loaded {
        Ok((loaded, model)) => (Some(loaded), Reply::Loaded { id, model }),
        Err(error) => (None, Reply::Failed { id, error }),
    };
    if let Some(loaded) = &loaded {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.interrupt = Some(loaded.session.interrupt());
    }
    if shared.answer(id, |_, _| Ok(reply)).is_err() {
        end();
    }
    let Some(loaded) = &mut loaded else { return };
    while let Ok(task) = tasks.recv() {
        let id = task.id;
        let started = Instant::now();
        let outputs = loaded.run(shared, task);
        let run_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        state.lock().unwrap_or_else(PoisonError::into_inner).run = None;
        let answered = shared.answer(id, |outbox, parcel| match &outputs {
            Ok(tensors) => {
                let outputs: io::Result<Vec<_>> =
                    tensors.iter().map(|tensor| outbox.put_tensor(parcel, &[tensor])).collect();
                Ok(Reply::Done { id, run_us, outputs: outputs? })
            }
            Err(error) => Ok(Reply::Failed { id, error: error.clone() }),
        });
        if answered.is_err() {
            end();
        }
    }
}

/// A loaded model, and what it needs for texts.
#[derive(Debug)]
struct Loaded {
    session: Box<dyn Session>,
    text: Option<TextPart>,
}

impl Loaded {
    fn load(shared: &Shared, source: &ModelSource) -> Result<(Self, LoadedModel), InferenceError> {
        let bytes = read(&source.path, source.bytes, &source.digest, "the model")?;
        let summary = scan::scan(&bytes).map_err(|error| failed(&error.to_string()))?;
        let session = shared.engine.load(&bytes, &summary)?;
        let (inputs, outputs) = session.values();
        let text = match &source.text {
            None => None,
            Some(text) => {
                let file = read(&text.tokenizer, text.bytes, &text.digest, "the tokenizer")?;
                Some(TextPart::new(&file, &text.model, &inputs, &outputs)?)
            }
        };
        let model = LoadedModel { inputs, outputs, metadata: summary.metadata };
        Ok((Self { session, text }, model))
    }

    fn run(&mut self, shared: &Shared, task: Task) -> Result<Vec<Tensor>, InferenceError> {
        let mut opened = Opened::new(&shared.inbox, &task.body, shared.inbox.bytes());
        match task.work {
            Work::Tensors { inputs, outputs } => {
                let inputs: Result<Vec<Tensor>, TakeError> =
                    inputs.into_iter().map(|wire| opened.tensor(wire)).collect();
                let inputs = inputs.map_err(|error| failed(&error.to_string()))?;
                let tensors = self.session.run(&inputs, shared.output_bytes)?;
                wanted(tensors, &outputs)
            }
            Work::Texts { rows } => {
                let bytes = opened.take(rows).map_err(|error| failed(&error.to_string()))?;
                let rows: TextRows =
                    postcard::from_bytes(&bytes).map_err(|error| failed(&error.to_string()))?;
                let text = self.text.as_ref().ok_or_else(|| failed("it is no model of text"))?;
                Ok(vec![text.run(self.session.as_mut(), rows, shared.output_bytes)?])
            }
        }
    }
}

/// The named tensors in the order of the names; all where none is named.
fn wanted(mut tensors: Vec<Tensor>, names: &[String]) -> Result<Vec<Tensor>, InferenceError> {
    if names.is_empty() {
        return Ok(tensors);
    }
    let take = |name: &String| {
        let position = tensors.iter().position(|tensor| tensor.name() == name)?;
        Some(tensors.swap_remove(position))
    };
    let found: Option<Vec<Tensor>> = names.iter().map(take).collect();
    found.ok_or_else(|| failed("the model did not give every output"))
}

/// A file that must have this length and digest. Read whole before anything looks at it, so that
/// what is checked is what is used.
fn read(path: &Path, bytes: u64, digest: &Digest, what: &str) -> Result<Vec<u8>, InferenceError> {
    let unreadable = |_| failed(&format!("{what}'s file cannot be read: add the model again"));
    let changed = || failed(&format!("{what}'s file is not the one that was added: add it again"));
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(changed());
    }
    let mut content = Vec::new();
    file.take(bytes.saturating_add(1)).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 != bytes || Digest::of(&content) != *digest {
        return Err(changed());
    }
    Ok(content)
}

fn failed(message: &str) -> InferenceError {
    InferenceError::new(InferenceErrorCode::Failed, message)
}
