//! The state by itself, with a worker of which only the events are real. Time is a value.

use std::path::PathBuf;

use meshhost_core::{
    inference::{ElementType, Elements, InferenceCaller, InferenceQuota},
    limits::Limits,
};

use super::*;
use crate::{message, process::Event, quota::Asks, settings::Program};

/// A worker that never starts; what it would say is said by the test.
#[derive(Debug)]
struct Nobody;

impl Events for Nobody {
    fn hello(&self) -> Result<(Program, message::Hello), InferenceError> {
        Err(InferenceError::new(InferenceErrorCode::Unavailable, "nobody"))
    }
    fn event(&self, _generation: u64, _event: Event) {}
    fn ended(&self, _generation: u64, _reason: &str) {}
}

fn state() -> (State, Instant) {
    let program = Program { path: PathBuf::from("none"), arguments: vec![], environment: vec![] };
    let settings = Arc::new(Settings::new(program, vec![], 1));
    (State::new(settings, Arc::new(Nobody)), Instant::now())
}

fn stored(name: &str, batch_rows: u32) -> StoredModel {
    StoredModel {
        digest: Digest::of(name.as_bytes()),
        path: PathBuf::from(name),
        bytes: 100,
        files: vec![],
        batch_rows,
        text: None,
    }
}

fn said(state: &mut State, event: Event, now: Instant) {
    let generation = state.generation;
    state.event(generation, event, now, 0);
}

/// The loads that go on.
fn loading(state: &State) -> Vec<u64> {
    let slots = state.models.values().flat_map(|model| &model.slots);
    let ids = slots.filter_map(|slot| match slot.phase {
        Phase::Loading { id, .. } => Some(id),
        Phase::Idle | Phase::Running { .. } => None,
    });
    ids.collect()
}

fn load_all(state: &mut State, now: Instant) {
    for id in loading(state) {
        let model = message::LoadedModel { inputs: vec![], outputs: vec![], metadata: vec![] };
        said(state, Event::Loaded { id, model }, now);
    }
}

/// A state with one loaded model.
fn loaded(batch_rows: u32) -> (State, Instant, StoredModel) {
    let (mut state, now) = state();
    let model = stored("m", batch_rows);
    assert!(matches!(state.describe(&model, now), Ok(Asked::Loading(_))));
    said(&mut state, Event::Ready { engine: "test 1".into() }, now);
    load_all(&mut state, now);
    assert!(matches!(state.describe(&model, now), Ok(Asked::Known(_))));
    (state, now, model)
}

type Answered = oneshot::Receiver<Result<Answer, InferenceError>>;

fn rows(name: &str, rows: u32) -> Tensor {
    let bytes = vec![7; rows as usize];
    let elements = Elements::Bytes(bytes);
    Tensor::new(name.into(), ElementType::Uint8, vec![rows], elements, 100).unwrap()
}

fn submit(state: &mut State, model: &StoredModel, plugin: &str, now: Instant) -> (u64, Answered) {
    let (sender, answer) = oneshot::channel();
    let inputs = vec![rows("x", 1)];
    let batch = BatchKey::of(&inputs, &[]);
    let plugin = plugin.parse().unwrap();
    let input = Input::Tensors { inputs, outputs: vec![] };
    let call = NewCall { plugin: &plugin, input, batch, bytes: 1, sender };
    (state.submit(model, call, now).unwrap(), answer)
}

fn only_run(state: &State) -> u64 {
    assert_eq!(state.runs.len(), 1);
    *state.runs.keys().next().unwrap()
}

fn code(answer: &mut Answered) -> InferenceErrorCode {
    answer.try_recv().unwrap().unwrap_err().code
}

#[test]
fn what_nobody_uses_is_unloaded_and_the_worker_ends() {
    let (mut state, now, model) = loaded(1);
    let idle = state.settings.idle;
    assert_eq!(state.maintain(now + idle, 0), Busy::Idle);
    let (_, answer) = submit(&mut state, &model, "a", now + idle);
    assert_eq!(state.maintain(now + idle, 0), Busy::Running);
    let id = only_run(&state);
    said(&mut state, Event::Done { id, run_us: 5, outputs: vec![] }, now + idle);
    drop(answer);
    assert_eq!(state.maintain(now + idle * 2, 0), Busy::Idle);
    assert_eq!(state.maintain(now + idle * 2 + Duration::from_secs(1), 0), Busy::Absent);
    assert!(state.models.is_empty() && matches!(state.worker, Worker::Absent { .. }));
}

#[test]
fn a_run_over_its_time_is_cancelled_and_then_the_worker_is_ended() {
    let (mut state, now, model) = loaded(1);
    let (_, mut answer) = submit(&mut state, &model, "a", now);
    let late = now + state.settings.run + Duration::from_secs(1);
    state.maintain(late, 0);
    let id = only_run(&state);
    assert_eq!(state.runs[&id].cancelled, Some(late));
    let error = InferenceError::new(InferenceErrorCode::Cancelled, "ended");
    said(&mut state, Event::Failed { id, error }, late);
    assert_eq!(code(&mut answer), InferenceErrorCode::Failed);
    assert!(!state.end_slow_runs(late));

    let (call, _) = submit(&mut state, &model, "a", late);
    state.cancel(call, late);
    assert!(!state.end_slow_runs(late + state.settings.cancel));
    assert!(state.end_slow_runs(late + state.settings.cancel + Duration::from_millis(1)));
}

#[test]
fn a_load_over_its_time_ends_the_worker() {
    let (mut state, now) = state();
    let _waits = state.describe(&stored("m", 1), now).unwrap();
    said(&mut state, Event::Ready { engine: "test 1".into() }, now);
    assert!(!state.loads_too_long(now + state.settings.load));
    assert!(state.loads_too_long(now + state.settings.load + Duration::from_millis(1)));
}

#[test]
fn workers_that_end_in_a_row_are_started_after_a_pause() {
    let (mut state, now, model) = loaded(1);
    let (_, mut answer) = submit(&mut state, &model, "a", now);
    let generation = state.generation;
    state.ended(generation, "signal 9", now);
    assert_eq!(code(&mut answer), InferenceErrorCode::Unavailable);
    assert!(matches!(state.worker, Worker::Starting(_)), "the first start comes at once");
    // What an earlier worker still says does not count.
    state.ended(generation, "again", now);
    assert!(matches!(state.worker, Worker::Starting(_)));

    let generation = state.generation;
    state.ended(generation, "signal 9", now);
    let error = state.describe(&model, now).unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::Unavailable);
    assert!(error.message.contains("signal 9"), "{}", error.message);
    let later = now + Duration::from_secs(1);
    assert!(state.describe(&model, later).is_ok());
    let (_, waits) = submit(&mut state, &model, "a", later);
    assert!(matches!(state.worker, Worker::Starting(_)));
    drop(waits);
}

#[test]
fn a_model_that_ends_the_worker_again_and_again_is_left_alone() {
    let (mut state, mut now) = state();
    let model = stored("m", 1);
    for _ in 0..CRASHES_MAX {
        let asked = state.describe(&model, now).unwrap();
        said(&mut state, Event::Ready { engine: "test 1".into() }, now);
        assert_eq!(loading(&state).len(), 1);
        let generation = state.generation;
        state.ended(generation, "signal 11", now);
        drop(asked);
        now += Duration::from_secs(60);
    }
    let error = state.describe(&model, now).unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::Failed);
    assert!(error.message.contains("left alone"), "{}", error.message);
    assert!(state.describe(&stored("other", 1), now).is_ok());
    assert!(state.describe(&model, now + CRASHED).is_ok());
}

#[test]
fn calls_that_wait_run_together_and_a_batch_that_fails_runs_call_by_call() {
    let (mut state, now, model) = loaded(8);
    let (_, first) = submit(&mut state, &model, "a", now);
    let mut others: Vec<_> = (0..3).map(|_| submit(&mut state, &model, "b", now)).collect();
    let id = only_run(&state);
    said(&mut state, Event::Done { id, run_us: 5, outputs: vec![rows("y", 1)] }, now);
    let id = only_run(&state);
    assert_eq!(state.runs[&id].parts.len(), 3);
    let error = InferenceError::new(InferenceErrorCode::Failed, "one of them is bad");
    said(&mut state, Event::Failed { id, error: error.clone() }, now);
    for (_, answer) in &mut others {
        let id = only_run(&state);
        assert_eq!(state.runs[&id].parts.len(), 1);
        said(&mut state, Event::Failed { id, error: error.clone() }, now);
        assert_eq!(code(answer), InferenceErrorCode::Failed);
    }
    assert!(state.runs.is_empty() && state.schedule.is_empty() && state.calls.is_empty());
    drop(first);
}

#[test]
fn a_batch_goes_on_for_those_who_still_wait() {
    let (mut state, now, model) = loaded(8);
    let (_, first) = submit(&mut state, &model, "a", now);
    let (one, _) = submit(&mut state, &model, "b", now);
    let (two, mut waits) = submit(&mut state, &model, "b", now);
    let id = only_run(&state);
    said(&mut state, Event::Done { id, run_us: 5, outputs: vec![rows("y", 1)] }, now);
    state.cancel(one, now);
    let id = only_run(&state);
    assert_eq!(state.runs[&id].cancelled, None);
    said(&mut state, Event::Done { id, run_us: 5, outputs: vec![rows("y", 2)] }, now);
    assert_eq!(waits.try_recv().unwrap().unwrap().outputs, [rows("y", 1)]);
    state.cancel(two, now);
    drop(first);
}

#[test]
fn compute_time_is_charged_to_whoever_cancelled_as_well() {
    let (mut state, now, model) = loaded(1);
    let quota = InferenceQuota { compute_ms_per_day: 1000, ..InferenceQuota::of(&Limits::DEFAULT) };
    let caller = InferenceCaller { plugin: "a".parse().unwrap(), quota };
    state.quotas.enter(&caller, Asks::Run, 0).unwrap();
    let (call, _) = submit(&mut state, &model, "a", now);
    let id = only_run(&state);
    state.cancel(call, now);
    let error = InferenceError::new(InferenceErrorCode::Cancelled, "ended");
    said(&mut state, Event::Failed { id, error }, now + Duration::from_secs(1));
    let error = state.quotas.enter(&caller, Asks::Run, 0).unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::Quota);
}
