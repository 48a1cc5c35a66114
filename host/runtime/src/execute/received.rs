//! The end of a call on the second engine: its streams and futures are read until they end, and
//! what its tasks still do after they returned is done.
//!
//! The answer is one JSON value, so a stream that a function returns becomes an array. What is
//! kept counts against the call's host memory as it comes, and its least length as JSON against
//! the output limit, so that a guest that never stops writing ends here and not in the host's
//! memory. Fuel and the deadline bound the time. A stream that is all that the function returns is
//! handed on besides, as it comes, when its caller wants that: [`super::passing`].

use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use meshhost_core::{
    json::number,
    limits::{LimitKind, Limits},
};
use serde_json::Value;
use tokio::sync::oneshot;
use wasmtime::{
    Store, StoreContextMut,
    component::{
        ComponentType, FutureAny, FutureConsumer, Lift, Source, StreamAny, StreamConsumer,
        StreamResult, Val,
    },
};

use super::passing::{BATCH_MAX, ItemSender, Passing};
use crate::{
    convert::{Budget, Received},
    state::{BufferCharge, CallRecord, HostState, Stop},
};

/// Tasks, threads of tasks, streams and futures (an open one takes three) that one store may hold
/// at once. Each can come to hold a stack, which takes two of the mappings of which a process has
/// about 65,000; told as the limit of handles.
const ENTRIES_MAX: usize = 1_024;
/// Items that are taken out of a stream at once.
const ITEMS_AT_ONCE: usize = 4_096;
/// Bytes that one item takes as JSON at least, with its comma.
const ITEM_JSON_BYTES_MIN: usize = 2;

/// What was read, and the host memory that it takes.
pub(super) type Kept = (Received, Option<BufferCharge>);

/// Bounds what the engine itself keeps for the guest's tasks; the first engine keeps nothing.
pub(super) fn bound_entries(store: &mut Store<HostState>) {
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(ENTRIES_MAX);
    }
}

/// Reads every stream and future in `results`, in the order in which they stand there, and lets
/// every task of the store end. When a stream is the result, or what comes with `ok`, what it brings
/// goes to `items` as well.
///
/// # Errors
/// What ended the guest meanwhile, or the limit that it ran into.
pub(super) async fn receive(
    store: &mut Store<HostState>,
    results: &[Val],
    limits: &Limits,
    items: Option<&ItemSender>,
) -> wasmtime::Result<Vec<Kept>> {
    let items = items.filter(|_| is_stream(results));
    let mut ends = Vec::new();
    results.iter().for_each(|value| find(value, &mut ends));
    let mut readings = Vec::with_capacity(ends.len());
    for end in ends {
        readings.push(begin(store, end, (limits.output_bytes, items))?);
    }
    store
        .run_concurrent(async |accessor| {
            for reading in &mut readings {
                // An error means that the consumer is gone, which is what is waited for.
                let _ended = (&mut reading.ended).await;
            }
            poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
        })
        .await?;
    Ok(readings.into_iter().map(|reading| reading.sink.take()).collect())
}

/// Whether the result is a stream and nothing else.
const fn is_stream(results: &[Val]) -> bool {
    match results {
        [Val::Stream(_)] => true,
        [Val::Result(Ok(Some(value)))] => matches!(**value, Val::Stream(_)),
        _ => false,
    }
}

/// The reading end of something that a function returned.
enum End<'a> {
    Stream(&'a StreamAny),
    Future(&'a FutureAny),
}

/// Every stream and future in a value, in the order in which [`crate::convert::lift`] comes to
/// them.
fn find<'a>(value: &'a Val, found: &mut Vec<End<'a>>) {
    match value {
        Val::Stream(stream) => found.push(End::Stream(stream)),
        Val::Future(future) => found.push(End::Future(future)),
        Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => {
            items.iter().for_each(|item| find(item, found));
        }
        Val::Record(fields) => fields.iter().for_each(|(_, value)| find(value, found)),
        Val::Map(pairs) => pairs.iter().for_each(|(_, value)| find(value, found)),
        Val::Variant(_, Some(inner))
        | Val::Option(Some(inner))
        | Val::Result(Ok(Some(inner)) | Err(Some(inner))) => find(inner, found),
        _ => {}
    }
}

/// One stream or future that is being read.
struct Reading {
    sink: Arc<Sink>,
    /// Closed when the consumer is gone: the guest has closed its end.
    ended: oneshot::Receiver<()>,
}

/// Starts to read.
fn begin(
    store: &mut Store<HostState>,
    end: End<'_>,
    (output_bytes_max, items): (u64, Option<&ItemSender>),
) -> wasmtime::Result<Reading> {
    let (alive, ended) = oneshot::channel();
    let held = Held { received: Received::Items(Vec::new()), charge: None, json_bytes: 0 };
    let record = Arc::clone(store.data().record());
    let sink = Arc::new(Sink { record, output_bytes_max, held: Mutex::new(held) });
    let tap = Tap { sink: Arc::clone(&sink), items: items.cloned(), _alive: Arc::new(alive) };
    for attach in ITEM_TYPES {
        if let Some(attached) = attach(store, &end, &tap) {
            return attached.map(|()| Reading { sink, ended });
        }
    }
    // `inspect` makes no capability of a function that returns anything else.
    Err(wasmtime::Error::msg("a stream of a type that the host does not read"))
}

/// The types of items that the host reads. The engine has no way to read a stream whose type is
/// known only at run time, so each stands here.
const ITEM_TYPES: &[Attach] = &[
    attach::<u8>,
    attach::<String>,
    attach::<Vec<u8>>,
    attach::<bool>,
    attach::<char>,
    attach::<i8>,
    attach::<i16>,
    attach::<u16>,
    attach::<i32>,
    attach::<u32>,
    attach::<i64>,
    attach::<u64>,
    attach::<f32>,
    attach::<f64>,
];

type Attach = fn(&mut Store<HostState>, &End<'_>, &Tap) -> Option<wasmtime::Result<()>>;

/// Lets the items of `end` flow into the tap; `None` when they are of another type.
fn attach<T: Item>(
    store: &mut Store<HostState>,
    end: &End<'_>,
    tap: &Tap,
) -> Option<wasmtime::Result<()>> {
    let consumer = Consumer::<T>::new(tap);
    match *end {
        End::Stream(stream) => {
            let reader = stream.clone().try_into_stream_reader::<T>().ok()?;
            if T::IS_BYTE {
                tap.sink.held().received = Received::Bytes(Vec::new());
            }
            Some(reader.pipe(store, consumer))
        }
        End::Future(future) => {
            let reader = future.clone().try_into_future_reader::<T>().ok()?;
            Some(reader.pipe(store, consumer))
        }
    }
}

/// What a consumer holds on to.
#[derive(Clone)]
struct Tap {
    sink: Arc<Sink>,
    items: Option<ItemSender>,
    _alive: Arc<oneshot::Sender<()>>,
}

/// Where the items of one stream gather.
struct Sink {
    record: Arc<CallRecord>,
    output_bytes_max: u64,
    held: Mutex<Held>,
}

struct Held {
    received: Received,
    charge: Option<BufferCharge>,
    /// What is kept takes at least this many bytes as JSON.
    json_bytes: u64,
}

impl Sink {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps items, within the call's limits.
    fn keep<T: Item>(&self, items: Vec<T>) -> Result<(), Stop> {
        let held = &mut *self.held();
        let sum = |bytes: fn(&T) -> usize| {
            let bytes: usize = items.iter().map(bytes).fold(0, usize::saturating_add);
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        held.json_bytes = held.json_bytes.saturating_add(sum(T::json_bytes_min));
        if held.json_bytes > self.output_bytes_max {
            return Err(self.record.stop(LimitKind::Output));
        }
        let host_bytes = sum(T::host_bytes);
        match &mut held.charge {
            Some(charge) => charge.grow(host_bytes)?,
            None => held.charge = Some(self.record.charge_buffer(host_bytes)?),
        }
        match &mut held.received {
            Received::Bytes(bytes) => bytes.extend(items.iter().filter_map(T::byte)),
            Received::Items(values) => values.extend(items.into_iter().map(T::into_value)),
        }
        Ok(())
    }

    fn take(&self) -> Kept {
        let held = &mut *self.held();
        let nothing = Received::Items(Vec::new());
        (std::mem::replace(&mut held.received, nothing), held.charge.take())
    }
}

/// Reads items of one type into a sink. The engine drops it when the guest has closed its end.
struct Consumer<T> {
    tap: Tap,
    passing: Option<Passing>,
    _item: PhantomData<fn() -> T>,
}

impl<T: Item> Consumer<T> {
    fn new(tap: &Tap) -> Self {
        let budget = || (!T::IS_BYTE).then(|| Budget::new(tap.sink.output_bytes_max));
        let passing = tap.items.clone().map(|to| Passing::new(to, budget()));
        Self { tap: tap.clone(), passing, _item: PhantomData }
    }

    /// Items that are taken at once.
    const fn at_once(&self) -> usize {
        if self.passing.is_some() && !T::IS_BYTE { BATCH_MAX } else { ITEMS_AT_ONCE }
    }
}

impl<T: Item> StreamConsumer<HostState> for Consumer<T> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'_, HostState>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(passing) = &mut self.passing {
            match passing.poll_room(context) {
                // The guest takes its write back; nothing of it was taken.
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                room => ready!(room),
            }
        }
        let count = source.remaining(&mut store).min(self.at_once());
        let mut items: Vec<T> = Vec::with_capacity(count);
        source.read(&mut store, &mut items)?;
        let batch = self.passing.as_ref().and_then(|_| T::batch(&items));
        self.tap.sink.keep(items)?;
        if let Some(passing) = &mut self.passing {
            passing.pass(batch);
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl<T: Item> FutureConsumer<HostState> for Consumer<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, HostState>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value: Option<T> = None;
        source.read(&mut store, &mut value)?;
        self.tap.sink.keep(value.into_iter().collect::<Vec<T>>())?;
        Poll::Ready(Ok(()))
    }
}

/// An item that the host reads out of a stream or future.
trait Item: ComponentType + Lift + Send + Sync + 'static {
    /// Whether a stream of them is kept as bytes instead of values.
    const IS_BYTE: bool = false;

    fn into_value(self) -> Val;

    /// What a caller takes as one item, as in the answer; `None` when it has no such form.
    fn to_json(&self) -> Option<Value>;

    /// Items as a caller takes them; `None` when one has no such form.
    fn batch(items: &[Self]) -> Option<Vec<Value>> {
        items.iter().map(Self::to_json).collect()
    }

    fn byte(&self) -> Option<u8> {
        None
    }

    /// Bytes that it takes in the host.
    fn host_bytes(&self) -> usize {
        size_of::<Val>()
    }

    /// Bytes that it takes as JSON at least.
    fn json_bytes_min(&self) -> usize {
        ITEM_JSON_BYTES_MIN
    }
}

macro_rules! scalars {
    ($($scalar:ty => $value:ident, $json:expr;)*) => {
        $(impl Item for $scalar {
            fn into_value(self) -> Val {
                Val::$value(self)
            }

            fn to_json(&self) -> Option<Value> {
                let json: fn($scalar) -> Option<Value> = $json;
                json(*self)
            }
        })*
    };
}

scalars! {
    bool => Bool, |it| Some(it.into());
    char => Char, |it| Some(it.to_string().into());
    i8 => S8, |it| Some(it.into());
    i16 => S16, |it| Some(it.into());
    u16 => U16, |it| Some(it.into());
    i32 => S32, |it| Some(it.into());
    u32 => U32, |it| Some(it.into());
    i64 => S64, |it| Some(number::wide(it.into()));
    u64 => U64, |it| Some(number::wide(it.into()));
    f32 => Float32, number::fraction32;
    f64 => Float64, number::fraction;
}

impl Item for u8 {
    const IS_BYTE: bool = true;

    fn into_value(self) -> Val {
        Val::U8(self)
    }

    fn to_json(&self) -> Option<Value> {
        Some((*self).into())
    }

    /// A piece of the stream.
    fn batch(items: &[Self]) -> Option<Vec<Value>> {
        let piece = (!items.is_empty()).then(|| STANDARD.encode(items).into());
        Some(piece.into_iter().collect())
    }

    fn byte(&self) -> Option<u8> {
        Some(*self)
    }

    fn host_bytes(&self) -> usize {
        1
    }

    fn json_bytes_min(&self) -> usize {
        1
    }
}

impl Item for String {
    fn into_value(self) -> Val {
        Val::String(self)
    }

    fn to_json(&self) -> Option<Value> {
        Some(self.as_str().into())
    }

    fn host_bytes(&self) -> usize {
        self.len().saturating_add(size_of::<Val>())
    }

    fn json_bytes_min(&self) -> usize {
        self.len().saturating_add(ITEM_JSON_BYTES_MIN)
    }
}

impl Item for Vec<u8> {
    fn into_value(self) -> Val {
        Val::List(self.into_iter().map(Val::U8).collect())
    }

    fn to_json(&self) -> Option<Value> {
        Some(STANDARD.encode(self).into())
    }

    fn host_bytes(&self) -> usize {
        self.len().saturating_add(1).saturating_mul(size_of::<Val>())
    }

    fn json_bytes_min(&self) -> usize {
        self.len().saturating_add(ITEM_JSON_BYTES_MIN)
    }
}
