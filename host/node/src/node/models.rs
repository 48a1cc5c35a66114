//! Requests about models.

use meshhost_core::outcome::Refusal;

use super::{Node, misrouted};
use crate::{
    api::{Reply, Request},
    entrance::Entrance,
};

impl Node {
    /// Answers a request about models.
    pub(super) async fn models(
        &self,
        entrance: &Entrance,
        request: Request,
    ) -> Result<Reply, Refusal> {
        match request {
            Request::ModelAdd { name, from } => {
                Ok(Reply::ModelsAdded(self.models.add(entrance, name, from).await?))
            }
            Request::Models => {
                let models = self.models.catalogue().snapshot();
                Ok(Reply::Models(models.values().map(|model| (**model).clone()).collect()))
            }
            Request::Model { name } => {
                Ok(Reply::Model(Box::new((*self.models.model(&name)?).clone())))
            }
            Request::ModelRemove { name } => {
                self.models.remove(entrance, &name).await?;
                Ok(Reply::Done)
            }
            Request::ModelVerify { name } => {
                Ok(Reply::ModelsVerified(self.models.verify(name.as_ref()).await?))
            }
            _ => Err(misrouted()),
        }
    }
}
