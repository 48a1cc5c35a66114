//! How many events a second the record takes from 64 callers that each wait for their commits,
//! and how many a second verification checks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use meshhost::{
    store::{
        Store,
        directory::{Access, DataDirectory},
        writer::{EvidenceWriter, StartCondition},
    },
    sys::{self, SystemClock, SystemEntropy},
};
use meshhost_core::{
    config::NodeConfig,
    evidence::{
        call::{Commitment, Decision, End, Origin, Provider, decided, ended},
        event::{Context, Correlation},
    },
    id::{Digest, HostId, InvocationId},
    invocation::{EntranceKind, Subject},
    limits::Usage,
    outcome::OutcomeKind,
};
use tokio::task::JoinSet;

use crate::{
    door::executor,
    report::{Row, Times, per_second, rate, ratio},
};

const CALLERS: u32 = 64;
const FOR: Duration = Duration::from_secs(4);
/// Rounds of verification.
const CHECKS: usize = 3;

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let executor = executor()?;
    executor.block_on(async {
        let folder = tempfile::tempdir()?;
        let directory = DataDirectory::open(&folder.path().join("data"), Access::Node).await?;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let store = Store::open(directory, &NodeConfig::DEFAULT, clock, entropy).await?;
        let begun = Instant::now();
        let commits = write(&store.evidence, store.keys.host_id()).await?;
        let written = rate(commits.count(), begun.elapsed());
        let mut checks = Times::default();
        let mut checked = 0;
        for _ in 0..CHECKS {
            let begun = Instant::now();
            checked = store.audit.verify(&[]).await?.events;
            checks.push(begun.elapsed());
        }
        let verified = rate(checked, checks.median());
        store.close().await?;
        Ok(vec![
            Row::must("events written", per_second(written), "≥ 50 000 /s", written >= 50_000.0)
                .by("64 callers for 4 s, each start and each end awaited, durability \"process\""),
            Row::shown("one commit, 64 callers", commits.text()),
            Row::must("events verified", per_second(verified), "≥ 200 000 /s", verified >= 2e5)
                .by("the whole check with the database's own, median of 3"),
            Row::shown("verifying beside writing", format!("{:.1}×", ratio(FOR, checks.median()))),
        ])
    })
}

async fn write(evidence: &EvidenceWriter, host_id: &HostId) -> anyhow::Result<Times> {
    let end = Instant::now() + FOR;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (evidence, host_id) = (evidence.clone(), host_id.clone());
        callers.spawn(async move {
            let mut times = Times::default();
            while Instant::now() < end {
                call(&evidence, &host_id, &mut times).await?;
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Times::default();
    while let Some(times) = callers.join_next().await {
        all.extend(times??);
    }
    Ok(all)
}

/// The two events of one call.
async fn call(
    evidence: &EvidenceWriter,
    host_id: &HostId,
    times: &mut Times,
) -> anyhow::Result<()> {
    let invocation_id: InvocationId = sys::new_invocation_id(&SystemClock, &SystemEntropy);
    let context = Arc::new(Context {
        host_id: host_id.clone(),
        correlation: Correlation::new(invocation_id.as_str().parse()?),
        invocation_id,
        capability_id: "echo.echo".parse()?,
        capability_version: Some("0.1.0".into()),
        subject: Subject { id: "local:bench".into(), kind: "user".into(), verified: true },
    });
    let stamp = || sys::stamp(&SystemClock, &SystemEntropy);
    let first = stamp();
    let origin = Origin {
        entrance: EntranceKind::CommandLine,
        depth: 1,
        asserted_caller: None,
        provider: Some(Provider {
            plugin: "echo".parse()?,
            component: Digest::of(b"component"),
            manifest: Some(Digest::of(b"manifest")),
            grants: Digest::of(b"grants"),
        }),
        input: Some(Commitment::new(&first.salt, "{\"message\": \"hello\"}")),
    };
    let drafts = decided(&context, &origin, Decision::Run, None, first, stamp);
    let begun = Instant::now();
    evidence.start(drafts, StartCondition::default()).await?;
    times.push(begun.elapsed());
    let last = stamp();
    let end = End {
        outcome: OutcomeKind::Success,
        reason: None,
        usage: Usage::default(),
        output: Some(Commitment::new(&last.salt, "\"hello\"")),
        output_valid: true,
        denied: &[],
        models: &[],
        guest_text_bytes: 0,
    };
    let draft = ended(&context, last, end);
    let begun = Instant::now();
    evidence.append(vec![draft]).await?;
    times.push(begun.elapsed());
    Ok(())
}
