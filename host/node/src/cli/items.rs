//! What a call streams, printed as it comes: one item a line, as JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use meshhost_core::{code::Code, outcome::Refusal};
use serde_json::Value;

use super::{print::Printer, session::Session};
use crate::api::{CallReply, CallRequest, Reply, Request};

/// What was printed of a call's stream so far.
#[derive(Debug, Default)]
pub(crate) struct Streamed {
    items: usize,
    /// Bytes in pieces of a stream of bytes.
    bytes: usize,
}

impl Streamed {
    /// Whether anything was.
    pub(crate) const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Calls, and prints what comes before the result.
    ///
    /// # Errors
    /// As [`Session::ask`]; [`Code::Cancelled`] as well when nobody reads what is printed.
    pub(crate) async fn call(
        &mut self,
        session: &mut Session,
        call: CallRequest,
    ) -> Result<Reply, Refusal> {
        let printer = session.printer;
        let take = async |items: Vec<Value>| self.print(printer, items).await;
        session.ask_streaming(Request::Call(call), take).await
    }

    /// Prints what the result has and was not printed: the connection to another node may have broken,
    /// and the result is then the one that it recorded.
    ///
    /// # Errors
    /// [`Code::Cancelled`] when nobody reads what is printed.
    pub(crate) async fn rest(&mut self, printer: Printer, call: &CallReply) -> Result<(), Refusal> {
        let rest = match &call.data {
            Some(Value::Array(items)) => items.get(self.items..).unwrap_or_default().to_vec(),
            Some(Value::String(text)) => self.bytes_after(text).into_iter().collect(),
            _ => Vec::new(),
        };
        self.print(printer, rest).await
    }

    /// The bytes of a whole stream that no piece had.
    fn bytes_after(&self, whole: &str) -> Option<Value> {
        let bytes = STANDARD.decode(whole).ok()?;
        let rest = bytes.get(self.bytes..).filter(|rest| !rest.is_empty())?;
        Some(STANDARD.encode(rest).into())
    }

    /// On a thread that may wait: whoever reads slowly holds up the guest, and not the node in this
    /// process.
    async fn print(&mut self, printer: Printer, items: Vec<Value>) -> Result<(), Refusal> {
        self.items = self.items.saturating_add(items.len());
        let pieces = items.iter().filter_map(Value::as_str).map(decoded_length);
        self.bytes = pieces.fold(self.bytes, usize::saturating_add);
        let printed = tokio::task::spawn_blocking(move || printer.items(&items)).await;
        match printed.unwrap_or_else(|error| Err(error.into())) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                let message = "nobody reads the output any more: the call was cancelled";
                Err(Refusal::new(Code::Cancelled, message))
            }
            Err(error) => {
                let message = format!("the output cannot be written: {error}");
                Err(Refusal::new(Code::HostFault, message))
            }
        }
    }
}

/// How many bytes a piece has, if it is one.
fn decoded_length(text: &str) -> usize {
    let letters = text.trim_end_matches('=').len();
    letters / 4 * 3 + letters % 4 * 3 / 4
}

#[cfg(test)]
mod tests {
    use meshhost_core::outcome::OutcomeKind;
    use serde_json::json;

    use super::*;
    use crate::cli::fixture;

    async fn after(printed: &[Value], data: Value) -> (usize, usize) {
        let printer = Printer { json: true };
        let mut streamed = Streamed::default();
        streamed.print(printer, printed.to_vec()).await.unwrap();
        let mut call = fixture::call_reply(OutcomeKind::Success, None);
        call.data = Some(data);
        streamed.rest(printer, &call).await.unwrap();
        (streamed.items, streamed.bytes)
    }

    #[tokio::test]
    async fn what_was_not_printed_of_a_result_is_printed_after_it() {
        assert_eq!(after(&[json!(1)], json!([1, 2, 3])).await.0, 3);
        assert_eq!(after(&[json!(1), json!(2)], json!([1, 2])).await.0, 2);
        assert_eq!(after(&[json!(1), json!(2)], json!([1])).await.0, 2);
        let pieces = [json!(STANDARD.encode("hel")), json!(STANDARD.encode("l"))];
        assert_eq!(after(&pieces, json!(STANDARD.encode("hello"))).await, (3, 5));
        assert_eq!(after(&pieces, json!(STANDARD.encode("hell"))).await, (2, 4));
    }

    #[test]
    fn a_piece_is_as_long_as_its_bytes() {
        for length in 0..20 {
            assert_eq!(decoded_length(&STANDARD.encode(vec![7; length])), length);
        }
    }
}
