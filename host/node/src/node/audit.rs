//! Questions to the record.

use meshhost_core::{code::Code, outcome::Refusal};

use super::Node;
use crate::api::{Reply, Request};

impl Node {
    /// Answers a question to the record.
    pub(super) async fn audit(&self, request: Request) -> Result<Reply, Refusal> {
        let _ = (request, &self.store);
        std::future::ready(()).await;
        Err(Refusal::new(Code::NotFound, "later"))
    }
}
