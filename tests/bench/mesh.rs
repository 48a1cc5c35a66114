//! A call of a small capability on another node, beside an echo on a new stream of the same transport;
//! how many a second; how long a new node takes until its capability is called; what a killed provider
//! costs; and what an idle node sends.

mod failover;
mod idle;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use meshhost::{
    api::{MeshReply, MeshRequest, Reply, Request},
    mesh::Bare,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    door::executor,
    engine,
    home::{self, Home},
    machine::Awake,
    report::{Row, Times, per_second, rate, ratio},
};

/// Calls of one caller, each timed.
const CALLS: u32 = 3_000;
/// Callers at once.
const IN_FLIGHT: u32 = 64;
/// How long they call.
const FOR: Duration = Duration::from_secs(3);
/// What an echo sends: as many bytes as a small call.
const ECHO: [u8; 256] = [7; 256];
/// Bytes of the blob that the remote guest reads.
const BLOB_BYTES: u64 = 100_000_000;
/// How often it does.
const BLOBS: u32 = 7;
/// How long a node may take to be callable before the figure is given up.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let executor = executor()?;
    let (caller, nodes, bare) = executor.block_on(async {
        let caller = Home::open().await?;
        let ticket = begin(&caller).await?;
        let provider = provider("provider", &ticket).await?;
        callable(&caller, "conformance_echo.echo").await?;
        let bare = Bare::new().await.context("a bare connection")?;
        anyhow::Ok((Arc::new(caller), vec![provider], Arc::new(bare)))
    })?;
    let mut rows = Vec::new();
    for awake in [true, false] {
        let _awake = awake.then(Awake::new);
        let echoes = executor.block_on(on_its_threads(echoes(Arc::clone(&bare))))?;
        let calls = executor.block_on(on_its_threads(calls(Arc::clone(&caller))))?;
        rows.extend(compared(awake, &echoes, &calls));
    }
    let bare_rate = executor.block_on(many(|| {
        let bare = Arc::clone(&bare);
        async move { bare.echo(&ECHO).await.map(drop).map_err(Into::into) }
    }))?;
    let call_rate = executor.block_on(many(|| {
        let caller = Arc::clone(&caller);
        async move { caller.call(request()?).await.map(drop) }
    }))?;
    let share = call_rate / bare_rate;
    rows.push(Row::shown("echoes a second, 64 in flight", per_second(bare_rate)));
    rows.push(
        Row::must(
            "remote calls a second, 64 in flight",
            format!("{} ({share:.3}× of the echoes)", per_second(call_rate)),
            "≥ 0.12×",
            share >= 0.12,
        )
        .by("one connection, both nodes in this process, so that they share its cores"),
    );
    rows.extend(executor.block_on(blobs(&caller, &bare))?);
    rows.push(executor.block_on(joining(&caller))?);
    drop(nodes);
    rows.extend(executor.block_on(failover::measure(&caller))?);
    rows.push(idle::measure()?);
    Ok(rows)
}

fn compared(awake: bool, echoes: &Times, calls: &Times) -> Vec<Row> {
    let times = ratio(calls.median(), echoes.median());
    let cores = if awake { "cores awake" } else { "cores idle" };
    let mut rows = vec![
        Row::shown(format!("echo on a new stream, {cores}"), echoes.text()),
        Row::shown(format!("remote call, {cores}"), calls.text()),
    ];
    let beside = format!("remote call beside the echo, p50, {cores}");
    rows.push(if awake {
        Row::must(beside, format!("{times:.2}×"), "≤ 3×", times <= 3.0)
            .by("all limits and the evidence of both nodes on")
    } else {
        Row::shown(beside, format!("{times:.2}×"))
    });
    rows
}

async fn on_its_threads<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::spawn(work).await?
}

async fn echoes(bare: Arc<Bare>) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for _ in 0..CALLS {
        let begun = Instant::now();
        bare.echo(&ECHO).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

async fn calls(caller: Arc<Home>) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for _ in 0..CALLS {
        let request = request()?;
        let begun = Instant::now();
        caller.call(request).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// How many pieces of work a second, with 64 in flight.
async fn many<F>(work: impl Fn() -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        callers.spawn(work());
    }
    // Whoever is done is followed by another.
    let mut all = 0_u64;
    while let Some(done) = callers.join_next().await {
        done??;
        all += 1;
        if begun.elapsed() < FOR {
            callers.spawn(work());
        }
    }
    Ok(rate(all, begun.elapsed()))
}

/// A guest on another node reads a large blob of the caller's, and a bare stream carries as many bytes.
async fn blobs(caller: &Home, bare: &Bare) -> anyhow::Result<Vec<Row>> {
    let ticket = another(caller).await?;
    let reader = Home::open().await?;
    reader.install(engine::guest_path("blob-reader"), "blob-reader", Vec::new()).await?;
    join(&reader, "reader", &ticket, &["blob_reader.*"]).await?;
    callable(caller, "blob_reader.drain").await?;
    let folder = tempfile::tempdir()?;
    let (mut streams, mut reads) = (Times::default(), Times::default());
    for round in 0..=BLOBS {
        // Another blob each time: nothing of it is there already.
        let file = folder.path().join(round.to_string());
        tokio::fs::write(&file, noise(u64::from(round))).await?;
        let put = Request::PutBlob { file };
        let digest = match caller.node.handle(&caller.entrance, put).await {
            Reply::Blob { digest, .. } => digest,
            other => bail!("{other:?}"),
        };
        let begun = Instant::now();
        bare.stream(BLOB_BYTES).await?;
        let streamed = begun.elapsed();
        let request = home::request("blob_reader.drain", json!({ "content": { "blob": digest } }))?;
        let begun = Instant::now();
        caller.call(request).await?;
        // The first round warms both up.
        if round > 0 {
            streams.push(streamed);
            reads.push(begun.elapsed());
        }
    }
    let share = streams.median().as_secs_f64() / reads.median().as_secs_f64();
    Ok(vec![
        Row::shown("100 MB on a bare stream", streams.text()),
        Row::must(
            "a 100 MB blob, read by a guest on another node",
            format!("{} ({share:.2}× of the bare stream's rate)", reads.text()),
            "≥ 0.6×",
            share >= 0.6,
        )
        .by("another blob each time, from the call to its answer, every group checked"),
    ])
}

/// As many bytes as the blob has, of no pattern.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = BLOB_BYTES / 8;
    let mut bytes = Vec::with_capacity(100_000_000);
    for _ in 0..words {
        // xorshift64, Marsaglia 2003.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// Two more nodes join; then a fourth one with a capability of its own, and it is timed until the first
/// calls that.
async fn joining(caller: &Home) -> anyhow::Result<Row> {
    let ticket = another(caller).await?;
    let _third = provider("third", &ticket).await?;
    let ticket = another(caller).await?;
    let fourth = Home::open().await?;
    fourth.install(engine::guest_path("wat-adder"), "wat-adder", Vec::new()).await?;
    let begun = Instant::now();
    join(&fourth, "fourth", &ticket, &["wat_adder.*"]).await?;
    callable(caller, "wat_adder.add").await?;
    let took = begun.elapsed();
    Ok(Row::must(
        "a fourth node, from joining to being called",
        format!("{:.0} ms", took.as_secs_f64() * 1_000.0),
        "≤ 1 s",
        took <= Duration::from_secs(1),
    ))
}

fn request() -> anyhow::Result<meshhost::api::CallRequest> {
    home::request("conformance_echo.echo", json!({ "message": "hello" }))
}

/// A node that joins and shares its echo.
async fn provider(name: &str, ticket: &str) -> anyhow::Result<Home> {
    let node = Home::open().await?;
    node.install(engine::guest_path("conformance-echo"), "conformance-echo", Vec::new()).await?;
    join(&node, name, ticket, &["conformance_echo.*"]).await?;
    Ok(node)
}

async fn begin(node: &Home) -> anyhow::Result<String> {
    let (community, name) = ("bench".to_owned(), Some("caller".to_owned()));
    let init = MeshRequest::Init { community, name, listen: "127.0.0.1:0".to_owned() };
    match ask(node, init).await? {
        MeshReply::Entered(entered) => Ok(entered.ticket.context("a ticket")?.ticket),
        other => bail!("{other:?}"),
    }
}

async fn another(node: &Home) -> anyhow::Result<String> {
    match ask(node, MeshRequest::Ticket { uses: 1, seconds: 600 }).await? {
        MeshReply::Ticket(ticket) => Ok(ticket.ticket),
        other => bail!("{other:?}"),
    }
}

async fn join(node: &Home, name: &str, ticket: &str, shares: &[&str]) -> anyhow::Result<()> {
    let join = MeshRequest::Join {
        ticket: ticket.to_owned(),
        name: Some(name.to_owned()),
        listen: "127.0.0.1:0".to_owned(),
        shares: shares.iter().map(|share| (*share).to_owned()).collect(),
    };
    ask(node, join).await.map(drop)
}

async fn ask(node: &Home, request: MeshRequest) -> anyhow::Result<MeshReply> {
    match node.node.handle(&node.entrance, Request::Mesh(request)).await {
        Reply::Mesh(reply) => Ok(*reply),
        Reply::Error(refusal) => bail!("{}", refusal.message),
        other => bail!("{other:?}"),
    }
}

/// Waits until another node offers a capability to this one.
async fn callable(node: &Home, capability: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let id = capability.parse().context("a capability id")?;
        let describe = Request::Describe { capability: id, node: None };
        let reply = node.node.handle(&node.entrance, describe).await;
        if matches!(&reply, Reply::Capabilities(found) if !found.is_empty()) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            bail!("{capability} was not offered in time");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
