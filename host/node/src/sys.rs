//! The real clock, random numbers and environment: the only place that may ask for them.

use std::{cell::RefCell, fs::File, io::Read as _, path::PathBuf};

use meshhost_core::{
    evidence::{
        event::{Salt, Stamp},
        time::Timestamp,
    },
    id::InvocationId,
    ports::{Clock, Entropy},
};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now_us(&self) -> i64 {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        elapsed.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The machine's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > FROM_STOCK_BYTES_MAX {
            fetch_random(bytes);
        } else {
            STOCK.with_borrow_mut(|stock| stock.take(bytes));
        }
    }
}

/// Ids and salts come out of a stock; keys never lie in one.
const FROM_STOCK_BYTES_MAX: usize = 16;
/// Bytes that are fetched at once: a call needs a few of them five times, and each time the system
/// is asked costs more than they do.
const STOCK_BYTES: usize = 512;

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock { bytes: [0; STOCK_BYTES], left: 0 }) };
}

/// Random bytes that nobody has got yet.
struct Stock {
    bytes: [u8; STOCK_BYTES],
    left: usize,
}

impl Stock {
    /// Hands out bytes, each once.
    fn take(&mut self, wanted: &mut [u8]) {
        if self.left < wanted.len() {
            fetch_random(&mut self.bytes);
            self.left = STOCK_BYTES;
        }
        let end = self.left;
        self.left = end.saturating_sub(wanted.len());
        for (wanted, byte) in wanted.iter_mut().zip(self.bytes.iter_mut().take(end).skip(self.left))
        {
            *wanted = std::mem::take(byte);
        }
    }
}

#[expect(clippy::expect_used, reason = "without random numbers nothing may run")]
fn fetch_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random numbers");
}

/// A variable of the process's environment, when it is set, not empty and valid UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable of the process's environment, also when it is empty: of some that means something
/// else than not to be set.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
#[must_use]
pub fn environment_as_set(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The user's home folder, when `HOME` names an absolute one: what `~` means.
#[must_use]
pub fn home_folder() -> Option<PathBuf> {
    environment("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// The name of the user with this id. The environment is not asked, because whoever starts the
/// process chooses it; without an entry in the user database the name is `uid-` and the number.
#[must_use]
pub fn user_name(uid: u32) -> String {
    /// Bytes of the user database that are looked at.
    const DATABASE_BYTES_MAX: u64 = 4 * 1024 * 1024;
    let mut database = String::new();
    if let Ok(file) = File::open("/etc/passwd") {
        // What cannot be read as text leaves the number as the name.
        let _ = file.take(DATABASE_BYTES_MAX).read_to_string(&mut database);
    }
    name_in(&database, uid).unwrap_or_else(|| format!("uid-{uid}"))
}

/// The name with this id in a user database (passwd(5): name, password, id, …).
fn name_in(database: &str, uid: u32) -> Option<String> {
    database.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        let plain =
            !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_graphic());
        (plain && id.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The name of this machine as far as it can name a node: `node` when it has none that can.
#[must_use]
pub fn machine_name() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    let first = name.split('.').next().unwrap_or_default();
    let plain: String = first
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .take(32)
        .collect();
    if plain.is_empty() { "node".to_owned() } else { plain }
}

/// The load of one processor core over the last minute, in thousandths; `None` where the system does
/// not say.
#[must_use]
pub fn load_per_core() -> Option<u32> {
    let mut text = String::new();
    File::open("/proc/loadavg").ok()?.take(128).read_to_string(&mut text).ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let cores = u32::try_from(std::thread::available_parallelism().ok()?.get()).ok()?;
    // Through text, which saturates nothing silently.
    format!("{:.0}", load * 1_000.0 / f64::from(cores)).parse().ok()
}

/// The process's own user id.
#[must_use]
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The file of this very program.
#[must_use]
pub fn own_program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// A fresh time-ordered id (RFC 9562, UUID version 7).
pub(crate) fn new_id(clock: &dyn Clock, entropy: &dyn Entropy) -> uuid::Uuid {
    let mut random = [0_u8; 10];
    entropy.fill(&mut random);
    let milliseconds = u64::try_from(clock.now_us() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
}

/// A fresh invocation id.
#[must_use]
#[expect(clippy::expect_used, reason = "a UUID is a valid id; a test makes one")]
pub fn new_invocation_id(clock: &dyn Clock, entropy: &dyn Entropy) -> InvocationId {
    new_id(clock, entropy).to_string().parse().expect("a UUID is printable")
}

/// Id, time and salt of one event.
#[must_use]
pub fn stamp(clock: &dyn Clock, entropy: &dyn Entropy) -> Stamp {
    let mut salt = [0_u8; 16];
    entropy.fill(&mut salt);
    Stamp {
        event_id: new_id(clock, entropy).to_string(),
        at: Timestamp::from_micros(clock.now_us()),
        salt: Salt::new(salt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_by_the_database() {
        let database =
            "root:x:0:0:root:/root:/bin/sh\n\nbroken\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(name_in(database, 1000).as_deref(), Some("me"));
        assert_eq!(name_in(database, 0).as_deref(), Some("root"));
        assert_eq!(name_in(database, 7), None);
        assert_eq!(user_name(u32::MAX - 7), format!("uid-{}", u32::MAX - 7));
    }

    #[test]
    fn random_bytes_are_handed_out_once() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..STOCK_BYTES {
            let mut bytes = [0_u8; 16];
            SystemEntropy.fill(&mut bytes);
            assert!(seen.insert(bytes), "the same bytes came twice");
            let mut few = [0_u8; 10];
            SystemEntropy.fill(&mut few);
            assert_ne!(few, [0; 10]);
        }
        let mut many = [0_u8; 64];
        SystemEntropy.fill(&mut many);
        assert_ne!(many, [0; 64]);
    }

    #[test]
    fn ids_are_fresh_and_in_order_of_time() {
        let one = new_invocation_id(&SystemClock, &SystemEntropy);
        let two = new_invocation_id(&SystemClock, &SystemEntropy);
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 36);
        assert_eq!(one.as_str().as_bytes()[14], b'7');
    }
}
