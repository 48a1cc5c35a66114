//! Where it ran: what has to stand beside every figure.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// Processor, cores, kernel and load, in one line without names of this machine.
pub(crate) fn description() -> String {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = file("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let load = file("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let kernel = file("/proc/sys/kernel/osrelease");
    let profile = if cfg!(debug_assertions) { "DEVELOPMENT PROFILE, " } else { "" };
    format!("{profile}{model}, {} cores, Linux {}, load {load}", cores(), kernel.trim())
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Keeps every core from sleeping while it lives, with a thread of the lowest priority on each:
/// waking a sleeping core of a virtual machine takes longer than most of what is measured here.
#[derive(Debug)]
pub(crate) struct Awake {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    pub(crate) fn new() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spin = |stop: Arc<AtomicBool>| {
            move || {
                // Linux gives each thread a priority of its own. Without it the figure is worse,
                // not wrong.
                let _ = rustix::process::nice(19);
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        };
        let threads = (0..cores()).map(|_| std::thread::spawn(spin(Arc::clone(&stop)))).collect();
        Self { stop, threads }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
