//! The small interfaces: what each does with its grant and without. Files and requests have
//! tests of their own.

use meshhost_core::{
    grant::EffectiveGrants,
    id::Digest,
    limits::{LimitKind, Limits},
};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::{
    InputStream, OutputStream,
    bindings::{
        cli::{environment, exit, stderr, stdin, stdout},
        clocks::{monotonic_clock, wall_clock},
        random::{insecure_seed, random},
        sockets::{ip_name_lookup, network, tcp_create_socket, udp_create_socket},
    },
};

use super::{
    View, link_all,
    testing::{NOW_US, STARTED_US, Setting},
};
use crate::{
    engine::EngineKind,
    execute::CommandInput,
    state::{HostState, Stop},
};

/// The permissions of what was denied, in order.
fn denied(state: &HostState) -> Vec<Option<String>> {
    state.record().take().denied.into_iter().map(|denied| denied.permission).collect()
}

fn some(permission: &str) -> Vec<Option<String>> {
    vec![Some(permission.to_owned())]
}

#[test]
fn every_interface_is_linked_once() {
    for kind in [EngineKind::Plain, EngineKind::Concurrent] {
        let engine = crate::engine::compiling(kind).unwrap();
        link_all(&mut Linker::new(&engine), kind).unwrap();
    }
}

#[test]
fn an_ungranted_clock_shows_the_start_of_the_call() {
    let mut state = Setting::default().state();
    let mut view = View::of(&mut state);
    let now = wall_clock::Host::now(&mut view).unwrap();
    assert_eq!(now.seconds, STARTED_US as u64 / 1_000_000);
    assert_eq!(now.nanoseconds, 1_000);
    assert_eq!(monotonic_clock::Host::now(&mut view).unwrap(), 0);
    assert_eq!(denied(&state), some("clock"));
}

#[test]
fn a_granted_clock_is_the_nodes() {
    let grants = EffectiveGrants { clock: true, ..EffectiveGrants::default() };
    let mut state = Setting::granted(grants).state();
    let now = wall_clock::Host::now(&mut View::of(&mut state)).unwrap();
    assert_eq!(now.seconds, NOW_US as u64 / 1_000_000);
    assert!(denied(&state).is_empty());
}

#[tokio::test]
async fn waiting_works_without_a_grant_and_is_bounded_by_the_deadline() {
    use wasmtime_wasi::p2::bindings::io::poll::HostPollable;
    let limits = Limits { deadline_ms: 1, ..Limits::DEFAULT };
    let mut state = Setting { limits, ..Setting::default() }.state();
    for wait in [0, 1_000, u64::MAX] {
        let mut view = View::of(&mut state);
        let timer = monotonic_clock::Host::subscribe_duration(&mut view, wait).unwrap();
        HostPollable::block(&mut state.table, timer).await.unwrap();
    }
}

#[test]
fn secure_random_numbers_need_the_grant_and_insecure_ones_do_not() {
    let mut state = Setting::default().state();
    let mut view = View::of(&mut state);
    let error = random::Host::get_random_bytes(&mut view, 8).unwrap_err();
    assert_eq!(error.downcast_ref::<Stop>(), Some(&Stop::Denied));
    assert!(insecure_seed::Host::insecure_seed(&mut view).is_ok());
    assert_eq!(denied(&state), some("random"));
}

#[test]
fn random_bytes_are_bounded() {
    let grants = EffectiveGrants { random: true, ..EffectiveGrants::default() };
    let mut state = Setting::granted(grants).state();
    let mut view = View::of(&mut state);
    assert_eq!(random::Host::get_random_bytes(&mut view, 65_536).unwrap().len(), 65_536);
    let one = random::Host::get_random_u64(&mut view).unwrap();
    assert_ne!(one, random::Host::get_random_u64(&mut view).unwrap());
    for length in [65_537, 1 << 63, u64::MAX] {
        assert!(random::Host::get_random_bytes(&mut view, length).is_err());
    }
    assert_eq!(state.record().limit_reached(), Some(LimitKind::HostMemory));
}

#[tokio::test]
async fn sockets_are_denied_and_recorded() {
    let mut state = Setting::default().state();
    let mut view = View::of(&mut state);
    let family = network::IpAddressFamily::Ipv4;
    let refused = tcp_create_socket::Host::create_tcp_socket(&mut view, family).unwrap_err();
    assert_eq!(refused.downcast().unwrap(), network::ErrorCode::AccessDenied);
    for _ in 0..2 {
        let udp = udp_create_socket::Host::create_udp_socket(&mut view, family).await;
        assert_eq!(udp.unwrap_err().downcast().unwrap(), network::ErrorCode::AccessDenied);
    }
    let name = "metadata.internal".to_owned();
    let lookup = ip_name_lookup::Host::resolve_addresses(&mut view, Resource::new_own(7), name);
    assert_eq!(lookup.unwrap_err().downcast().unwrap(), network::ErrorCode::AccessDenied);
    let denied = state.record().take().denied;
    assert_eq!(denied.len(), 3);
    assert_eq!(denied[2].target, "metadata.internal");
}

#[test]
fn the_environment_holds_what_is_granted_and_nothing_of_the_nodes() {
    let mut state = Setting::default().state();
    let mut view = View::of(&mut state);
    assert!(environment::Host::get_environment(&mut view).unwrap().is_empty());
    assert!(environment::Host::get_arguments(&mut view).unwrap().is_empty());
    assert_eq!(environment::Host::initial_cwd(&mut view).unwrap(), None);
    let granted = vec![("LANG".to_owned(), "C".to_owned())];
    let grants = EffectiveGrants { environment: granted.clone(), ..EffectiveGrants::default() };
    let mut state = Setting::granted(grants).state();
    assert_eq!(environment::Host::get_environment(&mut View::of(&mut state)).unwrap(), granted);
}

#[test]
fn exit_ends_the_call_with_its_code() {
    let mut state = Setting::default().state();
    let mut view = View::of(&mut state);
    for (ended, code) in [
        (exit::Host::exit(&mut view, Ok(())), 0),
        (exit::Host::exit(&mut view, Err(())), 1),
        (exit::Host::exit_with_code(&mut view, 7), 7),
    ] {
        assert_eq!(ended.unwrap_err().downcast_ref::<Stop>(), Some(&Stop::Exit(code)));
    }
}

fn write(state: &mut HostState, error: bool, text: &'static str) -> bool {
    let mut view = View::of(state);
    let stream = if error {
        stderr::Host::get_stderr(&mut view).unwrap()
    } else {
        stdout::Host::get_stdout(&mut view).unwrap()
    };
    let stream = state.table.get_mut(&stream).unwrap();
    OutputStream::write(&mut **stream, text.into()).is_ok()
}

#[test]
fn a_command_has_its_input_and_its_output_up_to_the_grant() {
    let command = CommandInput { arguments: vec!["-v".to_owned()], stdin: b"in".to_vec() };
    let grants = EffectiveGrants { stdout_bytes: 4, log_bytes: 100, ..EffectiveGrants::default() };
    let setting = Setting { command: Some(command), ..Setting::granted(grants) };
    let mut state = setting.state();
    let mut view = View::of(&mut state);
    assert_eq!(environment::Host::get_arguments(&mut view).unwrap(), ["test", "-v"]);
    let input = stdin::Host::get_stdin(&mut view).unwrap();
    let input = state.table.get_mut(&input).unwrap();
    assert_eq!(InputStream::read(&mut **input, 9).unwrap(), "in");
    assert!(write(&mut state, true, "warning\n"));
    assert!(write(&mut state, false, "four") && !write(&mut state, false, "!"));
    let taken = state.record().take();
    assert_eq!((taken.stdout.as_slice(), taken.log), (&b"four"[..], vec!["warning".to_owned()]));
}

#[test]
fn ungranted_output_is_dropped_and_recorded() {
    let setting = Setting { command: Some(CommandInput::default()), ..Setting::default() };
    let mut state = setting.state();
    assert!(write(&mut state, false, "lost") && write(&mut state, true, "lost\n"));
    let taken = state.record().take();
    assert!(taken.stdout.is_empty() && taken.log.is_empty());
    assert_eq!(taken.log_bytes, 5);
    assert_eq!(taken.denied.len(), 2);
}

mod key_values {
    use super::{
        super::keyvalue::{
            StoreError,
            bindings::wasi::keyvalue::{
                atomics, batch,
                store::{Error, Host, HostBucket},
            },
        },
        *,
    };

    fn granted(bytes: u64) -> HostState {
        let grants = EffectiveGrants { key_value_bytes: Some(bytes), ..EffectiveGrants::default() };
        Setting::granted(grants).state()
    }

    fn told(error: &StoreError) -> bool {
        matches!(error, StoreError::Told(Error::Other(_)))
    }

    #[tokio::test]
    async fn without_a_grant_access_is_denied() {
        let mut state = Setting::default().state();
        let opened = Host::open(&mut View::of(&mut state), "a".to_owned()).await;
        assert!(matches!(opened, Err(StoreError::Told(Error::AccessDenied))));
        assert_eq!(denied(&state), some("kv=8MiB"));
    }

    #[tokio::test]
    async fn values_are_kept_within_the_quota() {
        let mut state = granted(10);
        let mut view = View::of(&mut state);
        let bucket = Host::open(&mut view, "a".to_owned()).await.unwrap().rep();
        let bucket = || Resource::new_borrow(bucket);
        let key = || "k".to_owned();
        HostBucket::set(&mut view, bucket(), key(), vec![1; 6]).await.unwrap();
        assert_eq!(HostBucket::get(&mut view, bucket(), key()).await.unwrap(), Some(vec![1; 6]));
        let full = HostBucket::set(&mut view, bucket(), "l".to_owned(), vec![1; 6]).await;
        assert!(told(&full.unwrap_err()));
        let long = HostBucket::get(&mut view, bucket(), "k".repeat(1_025)).await;
        assert!(told(&long.unwrap_err()));
        HostBucket::delete(&mut view, bucket(), key()).await.unwrap();
        assert!(!HostBucket::exists(&mut view, bucket(), key()).await.unwrap());
        assert_eq!(state.record().limit_reached(), Some(LimitKind::KeyValueBytes));
        assert!(!state.record().effect_in_flight());
    }

    #[tokio::test]
    async fn keys_are_listed_in_pages() {
        let mut state = granted(1_000_000);
        let mut view = View::of(&mut state);
        let bucket = Host::open(&mut view, "a".to_owned()).await.unwrap().rep();
        let bucket = || Resource::new_borrow(bucket);
        let entries = (0..300).map(|number| (format!("{number:03}"), vec![0])).collect();
        batch::Host::set_many(&mut view, bucket(), entries).await.unwrap();
        let (mut cursor, mut keys) = (None, Vec::new());
        loop {
            let page = HostBucket::list_keys(&mut view, bucket(), cursor).await.unwrap();
            keys.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(keys.len(), 300);
        assert_eq!((keys[0].as_str(), keys[299].as_str()), ("000", "299"));
        let forged = HostBucket::list_keys(&mut view, bucket(), Some(99)).await;
        assert!(told(&forged.unwrap_err()));
    }

    #[tokio::test]
    async fn numbers_that_do_not_fit_are_an_error() {
        let mut state = granted(1_000);
        let mut view = View::of(&mut state);
        let bucket = Host::open(&mut view, "a".to_owned()).await.unwrap().rep();
        let bucket = || Resource::new_borrow(bucket);
        let add = atomics::Host::increment(&mut view, bucket(), "n".to_owned(), 5).await;
        assert_eq!(add.unwrap(), 5);
        let large = atomics::Host::increment(&mut view, bucket(), "n".to_owned(), u64::MAX).await;
        assert!(told(&large.unwrap_err()));
    }
}

mod blobs {
    use super::{
        super::blob::{
            Blob,
            bindings::meshhost::blob::types::{BlobError, HostBlob, HostWriter},
        },
        *,
    };

    #[tokio::test]
    async fn what_is_written_is_read_back_in_ranges() {
        let mut state = Setting::default().state();
        let mut view = View::of(&mut state);
        let writer = HostWriter::new(&mut view).await.unwrap().rep();
        let writer = || Resource::new_borrow(writer);
        for piece in [b"large ".to_vec(), b"data".to_vec()] {
            HostWriter::write(&mut view, writer(), piece).await.unwrap().unwrap();
        }
        let blob = HostWriter::finish(&mut view, writer()).await.unwrap().unwrap().rep();
        let blob = || Resource::new_borrow(blob);
        assert_eq!(HostBlob::length(&mut view, blob()).await.unwrap(), 10);
        let digest = HostBlob::digest(&mut view, blob()).await.unwrap();
        assert_eq!(digest, Digest::of(b"large data").to_string());
        let read = HostBlob::read(&mut view, blob(), 6, u32::MAX).await.unwrap();
        assert_eq!(read.unwrap(), b"data");
        assert!(HostBlob::read(&mut view, blob(), 10, 1).await.unwrap().unwrap().is_empty());
        for offset in [11, u64::MAX] {
            let beyond = HostBlob::read(&mut view, blob(), offset, 1).await.unwrap();
            assert!(matches!(beyond, Err(BlobError::OutOfRange)));
        }
        let again = HostWriter::write(&mut view, writer(), vec![1]).await.unwrap();
        assert!(matches!(again, Err(BlobError::Finished)));
    }

    #[tokio::test]
    async fn the_quota_of_the_call_holds() {
        let limits = Limits { blob_bytes: 4, ..Limits::DEFAULT };
        let mut state = Setting { limits, ..Setting::default() }.state();
        let mut view = View::of(&mut state);
        let writer = HostWriter::new(&mut view).await.unwrap();
        let written = HostWriter::write(&mut view, writer, vec![0; 5]).await.unwrap();
        assert!(matches!(written, Err(BlobError::Quota)));
        assert_eq!(state.record().limit_reached(), Some(LimitKind::BlobBytes));
    }

    #[tokio::test]
    async fn a_blob_that_came_with_the_call_is_read_from_memory() {
        let mut state = Setting::default().state();
        let blob = state.table.push(Blob::given("given".into())).unwrap();
        let read = HostBlob::read(&mut View::of(&mut state), blob, 1, 3).await.unwrap();
        assert_eq!(read.unwrap(), b"ive");
    }
}

mod calls {
    use meshhost_core::permission::CallRule;
    use serde_json::{Value, json};

    use super::{
        super::invoke::bindings::meshhost::mesh::invoke::{CallError, Host},
        *,
    };

    fn setting() -> Setting {
        let rule = CallRule { capability: "acme.*".to_owned(), arguments: Vec::new() };
        Setting::granted(EffectiveGrants { calls: vec![rule], ..EffectiveGrants::default() })
    }

    async fn call(
        state: &mut HostState,
        capability: &str,
        input: &str,
    ) -> Result<String, CallError> {
        let mut view = View::of(state);
        Host::call(&mut view, capability.to_owned(), input.to_owned()).await.unwrap()
    }

    #[tokio::test]
    async fn a_granted_call_goes_through_the_door() {
        let mut state = setting().state();
        let answer = call(&mut state, "acme.echo", r#"{"a":1}"#).await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer, json!({ "by": "test", "input": { "a": 1 }, "in_time": true }));
        let Err(CallError::Failure(text)) = call(&mut state, "acme.fails", "{}").await else {
            panic!("the other plugin's failure must come back as one");
        };
        let failure: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(failure["details"]["city"], "x");
        assert!(!state.record().effect_in_flight());
    }

    #[tokio::test]
    async fn what_is_not_granted_is_denied_and_recorded() {
        let mut state = setting().state();
        let answer = call(&mut state, "git.log", "{}").await;
        assert!(matches!(answer, Err(CallError::Denied(_))), "{answer:?}");
        assert_eq!(denied(&state), some("call=git.log"));
    }

    #[tokio::test]
    async fn input_that_is_no_object_is_invalid() {
        let mut state = setting().state();
        for (capability, input) in
            [("acme.echo", "[]"), ("acme.echo", "{"), ("acme.echo", ""), ("a/b", "{}")]
        {
            let answer = call(&mut state, capability, input).await;
            assert!(matches!(answer, Err(CallError::Invalid(_))), "{capability} {input}");
        }
    }

    #[tokio::test]
    async fn depth_is_bounded() {
        let mut state = Setting { depth: 8, ..setting() }.state();
        let answer = call(&mut state, "acme.echo", "{}").await;
        assert!(matches!(answer, Err(CallError::Denied(_))));
        assert_eq!(state.record().limit_reached(), Some(LimitKind::CallDepth));
    }
}
