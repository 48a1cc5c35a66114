//! What a call on another node streams, handed to its caller as it comes.
//!
//! The caller's channel is bounded. While it is full nothing more is read of the stream, and QUIC holds
//! up the node that serves.

use meshhost_core::{
    function_type::FunctionType,
    json::Bounds,
    mesh::{items::Allowance, value::ValueError, wire::Items},
};
use meshhost_runtime::execute::ItemSender;

/// The items of one call, over all its tries.
#[derive(Debug)]
pub(super) struct Handing<'a> {
    to: Option<&'a ItemSender>,
    allowance: Allowance,
    handed: bool,
}

impl<'a> Handing<'a> {
    /// For a caller who wants them, or for one who does not, of a call that may give so many bytes.
    pub(super) fn new(to: Option<&'a ItemSender>, output_bytes: Option<u64>) -> Self {
        Self { to, allowance: Allowance::new(output_bytes), handed: false }
    }

    /// Whether they are still to be asked for: once the caller has some, no other run's may follow on
    /// them, and the recorded result is asked for without any.
    pub(super) const fn wants(&self) -> bool {
        self.to.is_some() && !self.handed
    }

    /// Whether the caller has some.
    pub(super) const fn handed(&self) -> bool {
        self.handed
    }

    /// Hands on what a frame holds, and waits until there is room for it.
    ///
    /// # Errors
    /// When it cannot be read, or is more than an answer could have.
    pub(super) async fn take(
        &mut self,
        items: Items,
        function: Option<&FunctionType>,
    ) -> Result<(), ValueError> {
        let items = items.read(function, Bounds::CALL)?;
        self.allowance.take(&items)?;
        let Some(to) = self.to else { return Ok(()) };
        // Some are seen from the moment on at which they may be.
        self.handed = true;
        // A caller that takes no more of them still waits for the answer.
        let _gone = to.send(items).await;
        Ok(())
    }
}
