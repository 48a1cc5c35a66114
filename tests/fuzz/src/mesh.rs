//! What other nodes send.

use meshhost_core::{
    function_type::FunctionType,
    json::{self, Bounds},
    mesh::{
        items::ITEMS_MAX,
        membership::{MEMBERS_MAX, Membership},
        ticket::Ticket,
        value,
        wire::{CallFrame, ControlFrame, Frame, HEAD_BYTES, Items, Welcome},
    },
};

use crate::{text, words::round_trip};

/// The kind of a frame that begins a community for a member.
const WELCOME: u8 = 2;

/// The kind of a frame with items of a stream.
const ITEMS: u8 = 35;

/// One frame, on either channel.
pub(crate) fn frame(bytes: &[u8]) {
    let Some((head, body)) = bytes.split_first_chunk() else { return };
    one_form::<ControlFrame>(*head, body);
    one_form::<CallFrame>(*head, body);
    if let Ok(CallFrame::Items(items)) = CallFrame::decode(ITEMS, body) {
        items_of(items);
    }
}

/// Items that are taken are some, and no more than there may be.
fn items_of(items: Items) {
    if let Ok(taken) = items.read(None, Bounds::SMALL) {
        assert!((1..=ITEMS_MAX).contains(&taken.len()), "{}", taken.len());
        let again = Items::new(&taken, None).and_then(|items| items.read(None, Bounds::BUNDLE));
        assert_eq!(again, Ok(taken));
    }
}

/// The head allows no more than its kind does; a body that is accepted is written the same.
fn one_form<F: Frame>(head: [u8; HEAD_BYTES], body: &[u8]) {
    let [kind, ..] = head;
    if let Ok(read) = F::head(head) {
        assert!(read.kind == kind && F::max(kind).is_some_and(|max| read.length <= max));
    }
    if let Ok(frame) = F::decode(kind, body) {
        let written = frame.encode().unwrap_or_default();
        assert_eq!(written.get(HEAD_BYTES..), Some(body), "kind {kind}");
        assert_eq!(written.first(), Some(&kind));
    }
}

/// The type of a function on the first line, and what may be its input or output behind it, in
/// binary or as JSON.
pub(crate) fn value(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (ty, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Some(Ok(function)) = text(ty).map(str::parse::<FunctionType>) else { return };
    assert_eq!(Some(function.to_string().as_str()), text(ty));
    if let Ok(input) = value::decode_input(&function, rest, Bounds::SMALL) {
        let written = value::encode_input(&function, &input);
        assert_eq!(written.as_deref(), Ok(rest), "{function}: {input}");
    }
    if let Ok(output) = value::decode_output(&function, rest, Bounds::SMALL) {
        let written = value::encode_output(&function, &output);
        assert_eq!(written.as_deref(), Ok(rest), "{function}: {output}");
    }
    if let Ok(items) = value::decode_items(&function, rest, Bounds::SMALL, ITEMS_MAX) {
        let written = value::encode_items(&function, &items);
        assert_eq!(written.as_deref(), Ok(rest), "{function}: {items:?}");
    }
    let Ok(input) = json::parse(rest, Bounds::SMALL) else { return };
    if let Ok(written) = value::encode_input(&function, &input) {
        let read = value::decode_input(&function, &written, Bounds::BUNDLE);
        let again = read.and_then(|read| value::encode_input(&function, &read));
        assert_eq!(again, Ok(written), "{function}: {input}");
    }
}

/// The text of a ticket.
pub(crate) fn ticket(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        round_trip::<Ticket>(text);
    }
}

/// The beginning of a community and statements about its members, as a new one hears them.
pub(crate) fn statement(bytes: &[u8]) {
    let Ok(ControlFrame::Welcome(welcome)) = ControlFrame::decode(WELCOME, bytes) else { return };
    let Welcome { genesis, statements } = welcome;
    let Ok(mut membership) = Membership::new(genesis) else { return };
    let (learnt, _) = membership.learn(statements.clone());
    assert!(learnt <= statements.len() && membership.members().len() <= MEMBERS_MAX);
    assert!(membership.statements().all(|kept| statements.contains(kept) && kept.open().is_ok()));
    let members = membership.members().clone();
    assert_eq!(membership.learn(statements).0, 0, "the same is learnt twice");
    assert_eq!(membership.members(), &members);
}
