//! What this node says of itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use meshhost_core::{
    config::MeshConfig,
    mesh::{
        catalogue::LOOK_US,
        membership::Membership,
        record::{Load, NodeRecord, NodeState},
    },
};

use super::{Known, lock};
use crate::{
    door::Door,
    mesh::{running::Running, warm::WarmModels},
    sys,
};

impl Known {
    /// Says anew what this node is.
    pub(in crate::mesh) fn publish(&self, running: &Running) {
        let now_us = running.clock.now_us();
        let mut catalogue = lock(&self.catalogue);
        let record = own_record(running, &self.policy, catalogue.next_version(now_us), now_us);
        match running.community.sign(&record) {
            Some(signed) => {
                if let Err(error) = catalogue.publish(signed, now_us) {
                    tracing::warn!("this node's own record is not right: {error}");
                }
            }
            None => tracing::warn!("this node's own record is too long to be signed"),
        }
        drop(catalogue);
        self.tell();
    }

    /// Says anew what this node is, when that has changed or was said long ago.
    fn publish_if_due(&self, running: &Running) {
        let now_us = running.clock.now_us();
        let record = own_record(running, &self.policy, 0, now_us);
        let due = lock(&self.catalogue).is_due(&record, now_us);
        if due {
            self.publish(running);
        }
    }
}

/// What it is now.
pub(super) fn own_record(
    running: &Running,
    policy: &MeshConfig,
    version: u64,
    now_us: i64,
) -> NodeRecord {
    let said = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    let state = match (said(&running.leaving), said(&running.draining)) {
        (true, _) => NodeState::Left,
        (false, true) => NodeState::Draining,
        (false, false) => NodeState::Serving,
    };
    let door = running.door.upgrade();
    NodeRecord {
        community: running.community.membership(Membership::community),
        node: running.community.own(),
        name: running.community.name().to_owned(),
        roles: policy.roles.clone(),
        // Nobody can dial a command: it is gone soon.
        addresses: if running.serves { running.own_addresses() } else { Vec::new() },
        version,
        issued_us: now_us,
        engine: meshhost_runtime::ENGINE_VERSION,
        program: program_version(),
        state,
        load: door.map_or_else(Load::default, |door| load(&door, &running.models)),
        models: running.models.names(),
    }
}

fn program_version() -> semver::Version {
    env!("CARGO_PKG_VERSION").parse().unwrap_or(semver::Version::new(0, 0, 0))
}

fn load(door: &Door, models: &WarmModels) -> Load {
    let (slots_free, slots) = door.runtime.get().map_or((0, 0), |runtime| runtime.slots());
    Load { slots_free, slots, cpu: sys::load_per_core(), gpu: models.gpu() }
}

/// Keeps what others are told of this node true, until the mesh ends.
pub(in crate::mesh) async fn keep_telling(running: Arc<Running>) {
    const AGAIN: Duration = Duration::from_micros(LOOK_US.unsigned_abs());
    let Some(mut plugins) = running.door.upgrade().map(|door| door.registry.changes()) else {
        return;
    };
    running.known.publish(&running);
    loop {
        tokio::select! {
            biased;
            () = running.closing.cancelled() => return,
            // What is offered may be another.
            Ok(()) = plugins.changed() => running.known.publish(&running),
            () = tokio::time::sleep(AGAIN) => running.known.publish_if_due(&running),
        }
    }
}
