//! Kills of a call that opens the data directory itself, because no node runs.

use super::Known;

impl Known {
    /// Kills a call that computes for a while, and compares what its caller heard with what the
    /// record says. Gives its id when it was answered.
    pub(super) fn kill_a_call(&mut self, kill: u64) -> Vec<String> {
        let id = format!("alone-{kill}");
        let call = self.start(&["call", "busy.slow", "--id", &id, "--json"]);
        let ended = self.kill(call, self.call_us * 5 / 4);
        let events = self.events(&id);
        let started = events.iter().filter(|one| one["event_type"] == "execution_started").count();
        let ends: Vec<&str> = events.iter().filter_map(|one| one["outcome"].as_str()).collect();
        if let Some(ended) = ended {
            assert_eq!(ended.expect(0).json()["data"], 100, "kill {kill}");
            assert_eq!((started, &ends[..]), (1, &["success"][..]), "kill {kill}: {events:?}");
            self.count.alone_whole += 1;
            return vec![id];
        }
        match (started, &ends[..]) {
            (0, []) => self.count.alone_before += 1,
            // Its end was written, and nobody heard it.
            (1, ["success"]) => {}
            (1, ["indeterminate"]) => self.count.alone_within += 1,
            _ => panic!("kill {kill}: {events:?}"),
        }
        Vec::new()
    }
}
