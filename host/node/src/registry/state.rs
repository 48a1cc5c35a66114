//! What a stateful plugin keeps while it serves: its actor. It goes with the plugin from one
//! version in the registry to the next, as long as neither its component nor its limits change and
//! it stays enabled.

use std::sync::{Mutex, PoisonError};

use meshhost_runtime::actor::Actor;

/// The actor of one stateful plugin. It ends when the last plugin that holds this is gone.
#[derive(Debug, Default)]
pub struct State {
    actor: Mutex<Option<Actor>>,
}

impl State {
    /// The actor, started when there is none that lives.
    pub fn actor(&self, start: impl FnOnce() -> Actor) -> Actor {
        let mut actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner);
        match &*actor {
            Some(actor) if !actor.is_ended() => actor.clone(),
            _ => actor.insert(start()).clone(),
        }
    }
}
