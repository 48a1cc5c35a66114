//! Sealing one group: who of the waiting callers gets in, and what the commit changes.

use std::{collections::HashMap, mem, sync::Arc};

use meshhost_core::{
    code::Code,
    evidence::{
        chain,
        event::{Draft, EventType},
        hash::Hash,
    },
    id::{CorrelationId, InvocationId},
};
use tokio::sync::watch;

use super::{
    AppendError, Appended, Known, Request, Running, SIGN_EVENTS, Shared, StartCondition,
    condition::InFlight,
    memory::{Chain, Memory, day_of},
    rows::Rows,
};

/// A correlation that the group touches.
#[derive(Debug)]
struct Touched {
    owner: String,
    /// Calls started in it, those of the group included.
    starts: u64,
    /// Its last event before the group; `None` when nothing stood in it.
    before: Option<Hash>,
}

/// What is true once the group is committed.
#[derive(Debug)]
pub(super) struct Sealing {
    group: chain::Group,
    touched: HashMap<CorrelationId, Touched>,
    /// Calls started by each caller on each day, and whether the group changes the number.
    days: HashMap<(String, i64), (u64, bool)>,
    mandates: HashMap<String, u64>,
    uses: Vec<(String, InvocationId)>,
    started: Running,
    /// The sequence of each start.
    starts: Vec<(InvocationId, u64)>,
    ended: Vec<InvocationId>,
    /// Id and sequence of each event, for those who wait.
    written: Vec<(String, u64)>,
}

/// Why a request is not in the group.
enum Refused {
    /// Nothing of it was sealed.
    Whole(AppendError),
    /// Some of it was, so the group has to be sealed anew without it.
    Part(AppendError),
}

/// Seals the drafts of `requests`; answers and removes those that are refused. `None` when
/// nothing is left to write.
pub(super) fn seal(
    shared: &Arc<Shared>,
    requests: &mut Vec<Request>,
    known: &Known,
) -> Option<(Sealing, Rows)> {
    let mut memory = shared.memory();
    loop {
        let mut sealing = Sealing::begin(&memory, known)?;
        let mut refused = Vec::new();
        let mut anew = false;
        for (index, request) in requests.iter().enumerate() {
            let error = match sealing.take(&memory, known, request) {
                Ok(()) => continue,
                Err(Refused::Whole(error)) => error,
                Err(Refused::Part(error)) => {
                    anew = true;
                    error
                }
            };
            refused.push((index, error));
            if anew {
                break;
            }
        }
        for (index, error) in refused.into_iter().rev() {
            requests.remove(index).refuse(&mut memory, error);
        }
        if requests.is_empty() {
            return None;
        }
        if !anew {
            let rows = sealing.rows(requests);
            return Some((sealing, rows));
        }
    }
}

impl Sealing {
    fn begin(memory: &Memory, known: &Known) -> Option<Self> {
        let days = known.days.iter().map(|(day, starts)| (day.clone(), (*starts, false)));
        Some(Self {
            group: memory.sealer()?.group(),
            touched: HashMap::new(),
            days: days.collect(),
            mandates: known.mandates.clone(),
            uses: Vec::new(),
            started: Running::new(),
            starts: Vec::new(),
            ended: Vec::new(),
            written: Vec::new(),
        })
    }

    fn take(&mut self, memory: &Memory, known: &Known, request: &Request) -> Result<(), Refused> {
        if let Some((first, start)) = request.drafts.first().zip(request.start.as_ref()) {
            let correlation = &first.context.correlation.correlation_id;
            let untouched = !self.touched.contains_key(correlation);
            if let Err(error) = self.check(memory, known, first, start) {
                if untouched {
                    // Who is refused opens nothing: the correlation is still anybody's.
                    self.touched.remove(correlation);
                }
                return Err(Refused::Whole(error));
            }
        }
        for (index, draft) in request.drafts.iter().enumerate() {
            let before = self.touch(memory, known, draft).before;
            let sealed = self.group.seal(draft, before).map_err(|error| match index {
                0 => Refused::Whole(AppendError::Seal(error)),
                _ => Refused::Part(AppendError::Seal(error)),
            })?;
            let sequence = sealed.sequence;
            self.note(draft, sequence, request.start.as_ref());
        }
        Ok(())
    }

    /// The conditions of a start, on what is committed and what stands before it in the group.
    fn check(
        &mut self,
        memory: &Memory,
        known: &Known,
        first: &Draft,
        start: &StartCondition,
    ) -> Result<(), AppendError> {
        let context = &first.context;
        let invocation = &context.invocation_id;
        let running = memory.running.get(invocation).or_else(|| self.started.get(invocation));
        if let Some(running) = running {
            return Err(AppendError::InFlight(InFlight(running.subscribe())));
        }
        if known.started.contains(invocation) {
            return Err(AppendError::KnownInvocation);
        }
        let touched = self.touch(memory, known, first);
        if !start.descendant && touched.owner != context.subject.id {
            return Err(AppendError::ForeignCorrelation);
        }
        let starts = touched.starts;
        if let Some(limit) = start.budget.calls_per_correlation.filter(|limit| starts >= *limit) {
            return Err(AppendError::CorrelationBudget { limit });
        }
        let day = (context.subject.id.clone(), day_of(first.stamp.at.micros()));
        let starts = self.days.get(&day).map_or(0, |(starts, _)| *starts);
        if let Some(limit) = start.budget.calls_per_day.filter(|limit| starts >= *limit) {
            return Err(AppendError::DayBudget { limit });
        }
        if let Some(used) = &start.mandate {
            let uses = self.mandates.get(&used.mandate_id).copied().unwrap_or(0);
            if used.uses_max.is_some_and(|limit| uses >= limit) {
                return Err(AppendError::MandateExhausted);
            }
        }
        Ok(())
    }

    /// The correlation of a draft as it is at this place of the group. Who writes first in a new
    /// one opens it.
    fn touch(&mut self, memory: &Memory, known: &Known, draft: &Draft) -> &mut Touched {
        let id = &draft.context.correlation.correlation_id;
        self.touched.entry(id.clone()).or_insert_with(|| {
            let looked_up = || known.correlations.get(id).and_then(Option::as_ref);
            match memory.chains.peek(id).or_else(looked_up) {
                Some(Chain { owner, hash, starts }) => {
                    Touched { owner: owner.clone(), starts: *starts, before: Some(*hash) }
                }
                None => {
                    let owner = draft.context.subject.id.clone();
                    Touched { owner, starts: 0, before: None }
                }
            }
        })
    }

    /// Counts what a sealed event changes.
    fn note(&mut self, draft: &Draft, sequence: u64, start: Option<&StartCondition>) {
        let context = &draft.context;
        let invocation = context.invocation_id.clone();
        if ends(draft) {
            self.ended.push(invocation);
        } else if draft.event_type == EventType::ExecutionStarted {
            if let Some(touched) = self.touched.get_mut(&context.correlation.correlation_id) {
                touched.starts += 1;
            }
            let day = (context.subject.id.clone(), day_of(draft.stamp.at.micros()));
            let starts = self.days.entry(day).or_default();
            *starts = (starts.0 + 1, true);
            if let Some(used) = start.and_then(|start| start.mandate.as_ref()) {
                *self.mandates.entry(used.mandate_id.clone()).or_default() += 1;
                self.uses.push((used.mandate_id.clone(), invocation.clone()));
            }
            self.starts.push((invocation.clone(), sequence));
            self.started.insert(invocation, watch::Sender::new(()));
        }
    }

    /// What has to be written for the group.
    fn rows(&mut self, requests: &[Request]) -> Rows {
        let mut rows = Rows::default();
        let events = self.group.take_events();
        // Each event's own leaf comes first among the subtrees that it completes.
        let completed = self.group.nodes().chunk_by(|_, (next, _)| next.level > 0);
        for (event, completed) in events.into_iter().zip(completed) {
            self.written.push((event.event_id.clone(), event.sequence));
            rows.event(event, completed);
        }
        for (id, head) in self.group.heads() {
            if let Some(touched) = self.touched.get(id) {
                rows.head(id, head, &touched.owner, touched.starts);
            }
        }
        for (invocation, sequence) in &self.starts {
            rows.started(invocation, *sequence);
        }
        for invocation in &self.ended {
            rows.ended(invocation);
        }
        for ((subject_id, day), (starts, _)) in self.days.iter().filter(|(_, count)| count.1) {
            rows.day(subject_id, *day, *starts);
        }
        for (mandate_id, invocation) in &self.uses {
            rows.mandate(mandate_id, invocation);
        }
        for result in requests.iter().filter_map(|request| request.result.as_ref()) {
            rows.result(result);
        }
        for correlation in requests.iter().filter_map(|request| request.purge.as_ref()) {
            rows.purged(correlation);
        }
        rows
    }

    /// Takes the committed group into memory and answers those who wait.
    pub(super) fn accept(mut self, shared: &Shared, requests: Vec<Request>) {
        let mut written = mem::take(&mut self.written).into_iter();
        let answers: Vec<Appended> = requests
            .iter()
            .map(|request| {
                let (event_ids, sequences) = written.by_ref().take(request.drafts.len()).unzip();
                Appended { event_ids, sequences }
            })
            .collect();
        let mut memory = shared.memory();
        self.remember(&mut memory);
        let unsigned =
            memory.sealer().map_or(0, |sealer| sealer.sequence().saturating_sub(memory.signed));
        drop(memory);
        if unsigned >= SIGN_EVENTS {
            shared.sign_now.notify_one();
        }
        for (request, answer) in requests.into_iter().zip(answers) {
            let _ = request.answer.send(Ok(answer));
        }
    }

    fn remember(mut self, memory: &mut Memory) {
        let mut touched = mem::take(&mut self.touched);
        for (id, head) in self.group.heads() {
            if let Some(Touched { owner, starts, before }) = touched.remove(id) {
                if before.is_none() {
                    memory.seen.note(id.as_str());
                }
                memory.chains.insert(id.clone(), Chain { owner, hash: head.hash, starts });
            }
        }
        for (day, (starts, _)) in self.days {
            memory.days.insert(day, starts);
        }
        self.started.keys().for_each(|id| memory.seen.note(id.as_str()));
        memory.running.extend(self.started);
        for invocation in self.ended {
            // Dropping the sender wakes who waits for the call.
            memory.running.remove(&invocation);
        }
        let accepted = memory.sealer_mut().is_some_and(|sealer| sealer.commit(self.group));
        if !accepted {
            // Somebody else wrote: read where the record ends before the next group.
            memory.forget();
        }
    }
}

/// Whether an event ends a call that started. A denial after the start is that of a strict output
/// schema; every other denial belongs to a call that did not start.
pub(super) fn ends(draft: &Draft) -> bool {
    match draft.event_type {
        EventType::ExecutionCompleted
        | EventType::ExecutionFailed
        | EventType::ExecutionIndeterminate => true,
        EventType::ExecutionDenied => {
            draft.denial.as_ref().is_some_and(|denial| denial.code == Code::OutputInvalid)
        }
        _ => false,
    }
}
