//! Which blobs of this node the one gets that serves its call.

use meshhost_core::{
    function_type::FunctionType,
    invocation::EntranceKind,
    mesh::wire::{BlobWanted, Bytes, CallFrame, Declined, TypeFound},
    ports::BlobStore as _,
};
use tokio::sync::mpsc;

use super::{member::Member, providers::call, *};

/// A member that asks for a blob of the node as soon as the node calls it. It tells its type to whoever asks.
fn serve(calls: Channel, function: Option<FunctionType>, wanted: Digest) -> mpsc::Receiver<bool> {
    let (lent, told) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok(Stream { mut sending, mut receiving }) = calls.accept().await {
            match receiving.read::<CallFrame>().await.unwrap().unwrap() {
                CallFrame::TypeWanted(_) => {
                    let text = function.as_ref().map(ToString::to_string).unwrap_or_default();
                    let text = Bytes::from(text.into_bytes());
                    sending.write(&CallFrame::TypeFound(TypeFound { text })).await.unwrap();
                    sending.finish();
                }
                CallFrame::Invoke(invoke) => {
                    let got = gets(&calls, &wanted, invoke.invocation_id).await;
                    lent.send(got).await.unwrap();
                    sending.cancel();
                }
                other => panic!("{other:?}"),
            }
        }
    });
    told
}

/// Whether the node gives its blob for this call.
async fn gets(calls: &Channel, digest: &Digest, invocation_id: InvocationId) -> bool {
    let Stream { mut sending, mut receiving } = calls.open().await.unwrap();
    let wanted = BlobWanted { digest: *digest, invocation_id: Some(invocation_id), from_group: 0 };
    sending.write(&CallFrame::BlobWanted(wanted)).await.unwrap();
    sending.finish();
    match receiving.read::<CallFrame>().await.unwrap().unwrap() {
        CallFrame::BlobFound(_) => true,
        CallFrame::Declined(Declined { .. }) => false,
        other => panic!("{other:?}"),
    }
}

/// Whether the member gets the blob that `input.x.blob` is or only looks like, when its capability has this type.
async fn is_lent(ty: Option<&str>, entrance: EntranceKind) -> bool {
    let node = Fixture::new().await;
    let blobs = node.store.blobs.for_call();
    let mut writer = blobs.begin(1_000).await.unwrap();
    writer.write(b"a secret").await.unwrap();
    let (digest, _) = writer.finish().await.unwrap();
    let function: Option<FunctionType> = ty.map(|ty| format!("func(x: {ty}, )").parse().unwrap());
    let mut member = Member::join(&node, 1).await;
    let hash = function.as_ref().map(FunctionType::hash);
    let mut told = serve(member.calls(&node).await, function, digest);
    member.offers_of_type(&node, hash).await;
    let _living = member.lives();
    let input = json!({ "x": { "blob": digest } });
    let call = Invocation { entrance, input, ..(*call("lent", 10_000)).clone() };
    let mesh = Arc::clone(&node.mesh);
    let called =
        tokio::spawn(async move { mesh.call(&Arc::new(call), &Placement::Anywhere, None).await });
    let lent = told.recv().await.unwrap();
    called.abort();
    lent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_lent_where_the_type_has_one_and_text_that_looks_like_one_lends_nothing() {
    const TEXT: &str = "record{blob: string, }";
    const BLOB: &str = "own<meshhost:blob/types@0.1.0.blob>";
    for (ty, entrance, lent) in [
        (Some(BLOB), EntranceKind::Component, true),
        (Some(BLOB), EntranceKind::CommandLine, true),
        (Some(TEXT), EntranceKind::Component, false),
        (Some(TEXT), EntranceKind::CommandLine, false),
        // Who does not tell its type gets what a person names, and nothing that a component may have guessed.
        (None, EntranceKind::Component, false),
        (None, EntranceKind::CommandLine, true),
    ] {
        assert_eq!(is_lent(ty, entrance).await, lent, "{ty:?} {entrance:?}");
    }
}
