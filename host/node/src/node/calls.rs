//! Calls asked for by a command: made into invocations and taken to the door.

use std::sync::Arc;

use meshhost_core::{
    code::Code,
    id::{CorrelationId, Digest, InvocationId},
    invocation::{Invocation, Mode, Scope},
    outcome::{CallResult, DeniedAccess, Outcome, Refusal},
    ports::{BlobStore as _, PortError},
};
use meshhost_runtime::execute::{CommandInput, ItemSender};

use crate::{
    api::{CallReply, CallRequest, DeniedView},
    door::{Door, Incoming, Placement},
    entrance::Entrance,
    registry::Snapshot,
    store::{blobs::Blobs, writer::NewIds},
    sys,
};

/// Bytes of standard input that a command may get at once.
const STDIN_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of it that are read at once.
const STDIN_PIECE_BYTES: u32 = 256 * 1024;
/// Arguments of a command, and bytes of all of them.
const ARGUMENTS_MAX: usize = 1024;
const ARGUMENT_BYTES_MAX: usize = 128 * 1024;

/// A call, and who wants what it streams as it comes.
pub(super) type Asked = (CallRequest, Option<ItemSender>);

/// Makes one call and says how it ended.
pub(super) async fn call(
    door: &Door,
    blobs: &Blobs,
    entrance: &Entrance,
    asked: Asked,
) -> Result<CallReply, Refusal> {
    call_in(door, blobs, entrance, asked, door.registry.snapshot()).await
}

/// As [`call`], among the plugins of `snapshot`.
pub(super) async fn call_in(
    door: &Door,
    blobs: &Blobs,
    entrance: &Entrance,
    (request, items): Asked,
    snapshot: Arc<Snapshot>,
) -> Result<CallReply, Refusal> {
    let command = command(blobs, &request).await?;
    let placement = match (&request.node, &request.prefer) {
        (Some(node), _) => Placement::On(node.clone()),
        (None, Some(word)) => Placement::Rather(word.clone()),
        (None, None) => Placement::Anywhere,
    };
    let new = NewIds {
        invocation: request.invocation_id.is_none(),
        correlation: request.invocation_id.is_none() && request.correlation_id.is_none(),
    };
    let invocation = invocation(door, entrance, request)?;
    let (lender, started) = (None, None);
    let incoming = Incoming { invocation, new, command, lender, placement, started, items };
    Ok(reply(door.call_in(incoming, &snapshot).await))
}

fn invocation(
    door: &Door,
    entrance: &Entrance,
    request: CallRequest,
) -> Result<Invocation, Refusal> {
    let fresh = sys::new_invocation_id(door.clock.as_ref(), door.entropy.as_ref());
    let invocation_id = request.invocation_id.unwrap_or(fresh);
    let correlation_id = match request.correlation_id {
        Some(correlation_id) => correlation_id,
        None => own_correlation(&invocation_id)?,
    };
    Ok(Invocation {
        invocation_id,
        correlation_id,
        causation_id: None,
        capability: request.capability,
        version: request.version,
        type_hash: None,
        plugin: request.plugin,
        subject: entrance.subject().clone(),
        asserted_caller: None,
        entrance: entrance.kind(),
        scope: Scope { risk_ceiling: door.risk.user, ..entrance.scope().clone() },
        mode: Mode::Sync,
        input: request.input,
        timeout_ms: request.timeout_ms,
        fuel: request.fuel,
        output_bytes: None,
        depth: 1,
        chain: Vec::new(),
        hops: Vec::new(),
        working_folder: request
            .working_folder
            .and_then(|path| path.into_os_string().into_string().ok()),
    })
}

/// A call that belongs to nothing else is a piece of work of its own.
fn own_correlation(invocation_id: &InvocationId) -> Result<CorrelationId, Refusal> {
    invocation_id
        .as_str()
        .parse()
        .map_err(|_| Refusal::new(Code::HostFault, "an invocation id is no correlation id"))
}

async fn command(blobs: &Blobs, request: &CallRequest) -> Result<Option<CommandInput>, Refusal> {
    let argument_bytes: usize = request.arguments.iter().map(String::len).sum();
    if request.arguments.len() > ARGUMENTS_MAX || argument_bytes > ARGUMENT_BYTES_MAX {
        let message = format!(
            "a command gets at most {ARGUMENTS_MAX} arguments with {ARGUMENT_BYTES_MAX} bytes"
        );
        return Err(Refusal::new(Code::InputInvalid, message));
    }
    if request.arguments.is_empty() && request.stdin.is_none() {
        return Ok(None);
    }
    let stdin = match &request.stdin {
        Some(digest) => stdin(blobs, digest).await?,
        None => Vec::new(),
    };
    Ok(Some(CommandInput { arguments: request.arguments.clone(), stdin }))
}

/// A blob, whole, as standard input.
async fn stdin(blobs: &Blobs, digest: &Digest) -> Result<Vec<u8>, Refusal> {
    let refused = |error: PortError| {
        Refusal::new(Code::InputInvalid, format!("standard input cannot be read: {error}"))
    };
    let call = blobs.for_call();
    let length = call.length(digest).await.map_err(refused)?;
    if length > STDIN_BYTES_MAX {
        let message = format!("standard input has more than {STDIN_BYTES_MAX} bytes");
        return Err(Refusal::new(Code::LimitList, message));
    }
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        let piece =
            call.read(digest, bytes.len() as u64, STDIN_PIECE_BYTES).await.map_err(refused)?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// A result as it travels to the command line.
fn reply(result: CallResult) -> CallReply {
    let plugin = result.plugin.as_deref();
    let denied = result.denied.iter().map(|access| denied_view(plugin, access)).collect();
    let outcome = result.outcome.kind();
    let (data, error) = match result.outcome {
        Outcome::Success(data) => (Some(data), None),
        Outcome::Failure(refusal)
        | Outcome::Denied(refusal)
        | Outcome::Skipped(refusal)
        | Outcome::Indeterminate(refusal) => (None, Some(refusal)),
    };
    CallReply {
        invocation_id: result.invocation_id,
        correlation_id: result.correlation_id,
        capability_id: result.capability_id,
        capability_version: result.capability_version,
        plugin: result.plugin,
        node: result.node,
        outcome,
        success: data.is_some(),
        data,
        error,
        denied,
        models: result.models,
        log: result.log,
        evidence_ids: result.evidence_ids,
        usage: result.usage,
        started_at: result.started_at,
        completed_at: result.completed_at,
        replayed: result.replayed,
    }
}

/// What was denied, with the command that would grant it.
fn denied_view(plugin: Option<&str>, access: &DeniedAccess) -> DeniedView {
    let named = plugin.zip(access.permission.as_deref());
    let command = named.map(|(plugin, permission)| granting_command(plugin, permission));
    DeniedView { access: access.clone(), command }
}

/// The command that grants a permission to an installed plugin.
pub(crate) fn granting_command(plugin: &str, permission: &str) -> String {
    format!("meshhost plugin grant {plugin} {}", shell_word(permission))
}

/// `text` as one word for a POSIX shell. Guests choose part of it: everything but plain
/// characters is quoted.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'=' | b':' | b'+')
    };
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_granting_command_cannot_be_made_to_do_anything_else() {
        let table = [
            ("fs:ro=/home/me/notes", "fs:ro=/home/me/notes"),
            ("fs:ro=/a b", "'fs:ro=/a b'"),
            ("fs:ro=/x; rm -rf ~", "'fs:ro=/x; rm -rf ~'"),
            ("fs:ro=/it's", r"'fs:ro=/it'\''s'"),
            ("$(id)", "'$(id)'"),
            ("", "''"),
        ];
        for (text, word) in table {
            assert_eq!(shell_word(text), word);
        }
    }
}
