//! The node's models: `meshhost:inference/sessions`, which runs them outside of the component.

use crate::bindings::meshhost::inference::sessions::{Error, ErrorCode, Session};
use crate::engine::{Description, Engine, Model, Tensor};
use crate::failure::Failure;

/// The node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node;

impl Engine for Node {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        let failed = |error| failure(name, error);
        let session = Session::open(name).map_err(failed)?;
        let description = session.describe().map_err(failed)?;
        Ok(Box::new(Open { name: name.to_owned(), session, description }))
    }
}

/// An open model.
struct Open {
    name: String,
    session: Session,
    description: Description,
}

impl Model for Open {
    fn description(&self) -> &Description {
        &self.description
    }

    fn run(&self, inputs: &[Tensor], outputs: &[String]) -> Result<Vec<Tensor>, Failure> {
        self.session.run(inputs, outputs).map_err(|error| failure(&self.name, error))
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, Failure> {
        self.session.file(name).map_err(|error| failure(&self.name, error))
    }
}

fn failure(model: &str, error: Error) -> Failure {
    let text = format!("the model {model:?}: {}", error.message);
    match error.code {
        ErrorCode::NotFound | ErrorCode::InvalidArgument => Failure::NoModel(text),
        ErrorCode::TooLarge => Failure::TooLarge(text),
        ErrorCode::Busy => Failure::Busy(text),
        ErrorCode::Quota => Failure::Quota(text),
        ErrorCode::Unavailable => Failure::Unavailable(text),
        ErrorCode::Failed | ErrorCode::Cancelled => Failure::Fault(text),
    }
}
