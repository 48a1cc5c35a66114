//! What a stateful plugin keeps while it serves: its actor, and the place before it. Both go with
//! the plugin from one version in the registry to the next, as long as neither its component nor
//! its limits change and it stays enabled.

use std::sync::{Arc, Mutex, PoisonError};

use meshhost_core::limits::Limits;
use meshhost_runtime::actor::Actor;

use crate::door::places::Places;

/// The actor of one stateful plugin. It ends when the last plugin that holds this is gone.
#[derive(Debug)]
pub struct State {
    /// One place: an actor runs one call at a time.
    pub places: Arc<Places>,
    actor: Mutex<Option<Actor>>,
}

impl State {
    /// Of a plugin that was not called yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Arc<Self> {
        let places = Arc::new(Places::new(1, limits.waiting));
        Arc::new(Self { places, actor: Mutex::new(None) })
    }

    /// The actor, started when there is none that lives.
    pub fn actor(&self, start: impl FnOnce() -> Actor) -> Actor {
        let mut actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner);
        match &*actor {
            Some(actor) if !actor.is_ended() => actor.clone(),
            _ => actor.insert(start()).clone(),
        }
    }
}
