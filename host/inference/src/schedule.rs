//! Which calls run next, and which together. Pure: it knows neither time nor worker.
//!
//! Plugins take turns: the one whose call was taken goes to the end. A call runs as soon as a
//! session of its model is free, never later: a batch is what had to wait anyway.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use meshhost_core::{
    id::{Digest, PluginName},
    inference::{ElementType, Tensor},
};

/// A call that waits for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) plugin: PluginName,
    pub(crate) model: Digest,
    /// What calls must share to run together; none when this one runs alone.
    pub(crate) key: Option<Arc<BatchKey>>,
    /// Rows that it adds to a batch.
    pub(crate) rows: u32,
    /// Bytes that it adds to a batch.
    pub(crate) bytes: u64,
}

/// What calls of one model must share to run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchKey {
    /// Names, types and all dimensions but the first, and the wanted outputs.
    Tensors { inputs: Vec<(String, ElementType, Vec<u32>)>, outputs: Vec<String> },
    /// Rows of text, of any length.
    Texts,
}

impl BatchKey {
    /// The key of tensors with the same number of rows each, and that number; none when they
    /// cannot run with others.
    pub(crate) fn of(inputs: &[Tensor], outputs: &[String]) -> Option<(Self, u32)> {
        let rows = *inputs.first()?.shape().first()?;
        let part = |tensor: &Tensor| {
            let (first, rest) = tensor.shape().split_first()?;
            let alike = *first == rows && tensor.element_type() != ElementType::Text;
            alike.then(|| (tensor.name().to_owned(), tensor.element_type(), rest.to_vec()))
        };
        let inputs = inputs.iter().map(part).collect::<Option<Vec<_>>>()?;
        Some((Self::Tensors { inputs, outputs: outputs.to_vec() }, rows))
    }
}

/// What a free session can take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Rows of one batch.
    pub(crate) rows: u32,
    /// Bytes of one batch.
    pub(crate) bytes: u64,
}

/// The calls that wait, by plugin. Their number is bounded by whoever adds them.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// The plugin whose turn it is comes first; no queue is empty.
    plugins: VecDeque<(PluginName, VecDeque<Job>)>,
}

impl Schedule {
    /// Adds a call at the end of its plugin's queue.
    pub(crate) fn push(&mut self, job: Job) {
        self.queue(&job.plugin).push_back(job);
    }

    /// Puts a call back to where it was.
    pub(crate) fn push_front(&mut self, job: Job) {
        self.queue(&job.plugin).push_front(job);
    }

    fn queue(&mut self, plugin: &PluginName) -> &mut VecDeque<Job> {
        let position = self.plugins.iter().position(|(name, _)| name == plugin);
        let position = position.unwrap_or_else(|| {
            self.plugins.push_back((plugin.clone(), VecDeque::new()));
            self.plugins.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the position was found or made above")]
        &mut self.plugins[position].1
    }

    /// Takes a call out that nobody waits for any longer.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        !self.take_if(|job| job.id == id).is_empty()
    }

    /// Takes all calls of a model out.
    pub(crate) fn remove_model(&mut self, model: &Digest) -> Vec<Job> {
        self.take_if(|job| job.model == *model)
    }

    /// Takes every call out.
    pub(crate) fn remove_all(&mut self) -> Vec<Job> {
        self.take_if(|_| true)
    }

    fn take_if(&mut self, taken: impl Fn(&Job) -> bool) -> Vec<Job> {
        let mut out = Vec::new();
        for (_, queue) in &mut self.plugins {
            let (gone, stay): (VecDeque<Job>, _) = queue.drain(..).partition(&taken);
            out.extend(gone);
            *queue = stay;
        }
        self.plugins.retain(|(_, queue)| !queue.is_empty());
        out
    }

    /// The models that calls wait for.
    pub(crate) fn models(&self) -> HashSet<Digest> {
        self.plugins.iter().flat_map(|(_, queue)| queue).map(|job| job.model).collect()
    }

    /// Calls that wait for a model.
    pub(crate) fn waiting(&self, model: &Digest) -> usize {
        self.plugins.iter().flat_map(|(_, queue)| queue).filter(|job| job.model == *model).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// The next calls that run together, of the first plugin in turn that has one for which `room`
    /// says that a session is free.
    pub(crate) fn next(&mut self, room: impl Fn(&Digest) -> Option<Room>) -> Option<Vec<Job>> {
        let found = self.plugins.iter().enumerate().find_map(|(plugin, (_, queue))| {
            let found = |(job, it): (usize, &Job)| Some((plugin, job, room(&it.model)?));
            queue.iter().enumerate().find_map(found)
        });
        let (plugin, job, room) = found?;
        let (name, mut queue) = self.plugins.remove(plugin)?;
        let job = queue.remove(job)?;
        if !queue.is_empty() {
            self.plugins.push_back((name, queue));
        }
        let mut batch = vec![job];
        self.fill(&mut batch, room);
        self.plugins.retain(|(_, queue)| !queue.is_empty());
        Some(batch)
    }

    /// Adds what fits, one call of each plugin after the other.
    fn fill(&mut self, batch: &mut Vec<Job>, room: Room) {
        let Some(first) = batch.first().cloned().filter(|job| job.key.is_some()) else { return };
        let mut rows = room.rows.saturating_sub(first.rows);
        let mut bytes = room.bytes.saturating_sub(first.bytes);
        loop {
            let before = batch.len();
            for (_, queue) in &mut self.plugins {
                let fits = |job: &Job| {
                    job.model == first.model
                        && job.rows <= rows
                        && job.bytes <= bytes
                        && job.key == first.key
                };
                let position = queue.iter().position(fits);
                if let Some(job) = position.and_then(|position| queue.remove(position)) {
                    rows -= job.rows;
                    bytes -= job.bytes;
                    batch.push(job);
                }
            }
            if batch.len() == before || rows == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u64, plugin: &str, model: &str, key: Option<BatchKey>) -> Job {
        Job {
            id,
            plugin: plugin.parse().unwrap(),
            model: Digest::of(model.as_bytes()),
            key: key.map(Arc::new),
            rows: 1,
            bytes: 10,
        }
    }

    fn ids(batch: Option<Vec<Job>>) -> Vec<u64> {
        batch.unwrap_or_default().iter().map(|job| job.id).collect()
    }

    const ROOM: Room = Room { rows: 4, bytes: 1000 };

    #[test]
    fn plugins_take_turns_however_much_one_of_them_asks() {
        let mut schedule = Schedule::default();
        for id in 0..100 {
            schedule.push(job(id, "greedy", "m", None));
        }
        schedule.push(job(100, "modest", "m", None));
        schedule.push(job(101, "modest", "m", None));
        let order: Vec<u64> = (0..5).flat_map(|_| ids(schedule.next(|_| Some(ROOM)))).collect();
        assert_eq!(order, [0, 100, 1, 101, 2]);
    }

    #[test]
    fn a_call_is_taken_only_when_its_model_is_free() {
        let mut schedule = Schedule::default();
        schedule.push(job(1, "a", "busy", None));
        schedule.push(job(2, "a", "free", None));
        let free = Digest::of(b"free");
        let room = |model: &Digest| (*model == free).then_some(ROOM);
        assert_eq!(ids(schedule.next(room)), [2]);
        assert_eq!(schedule.next(room), None);
        assert_eq!(schedule.models(), HashSet::from([Digest::of(b"busy")]));
        assert!(schedule.remove(1) && !schedule.remove(1) && schedule.is_empty());
    }

    #[test]
    fn what_waits_runs_together_within_the_bounds_and_fairly() {
        let mut schedule = Schedule::default();
        for id in 0..4 {
            schedule.push(job(id, "a", "m", Some(BatchKey::Texts)));
        }
        schedule.push(job(4, "a", "other", Some(BatchKey::Texts)));
        schedule.push(job(5, "b", "m", None));
        schedule.push(job(6, "b", "m", Some(BatchKey::Texts)));
        assert_eq!(ids(schedule.next(|_| Some(ROOM))), [0, 6, 1, 2]);
        let tight = Room { rows: 4, bytes: 15 };
        assert_eq!(ids(schedule.next(|_| Some(tight))), [5]);
        assert_eq!(ids(schedule.next(|_| Some(tight))), [3]);
        assert_eq!(ids(schedule.next(|_| Some(ROOM))), [4]);
    }

    #[test]
    fn only_tensors_that_differ_in_their_rows_alone_run_together() {
        use meshhost_core::inference::Elements;
        let tensor = |name: &str, shape: &[u32]| {
            let bytes = vec![0; shape.iter().product::<u32>() as usize];
            let elements = Elements::Bytes(bytes);
            Tensor::new(name.into(), ElementType::Uint8, shape.to_vec(), elements, 100).unwrap()
        };
        let key = |tensors: &[Tensor]| BatchKey::of(tensors, &[]);
        let (two, rows) = key(&[tensor("a", &[2, 3]), tensor("b", &[2])]).unwrap();
        let (one, _) = key(&[tensor("a", &[1, 3]), tensor("b", &[1])]).unwrap();
        let (wider, _) = key(&[tensor("a", &[1, 4]), tensor("b", &[1])]).unwrap();
        assert_eq!((rows, &two), (2, &one));
        assert_ne!(two, wider);
        assert_eq!(key(&[tensor("a", &[2, 3]), tensor("b", &[1])]), None);
        assert_eq!(key(&[tensor("a", &[])]), None);
        assert_eq!(key(&[]), None);
    }
}
