//! The node's models: [`Model`] opens and runs one, and a [`Problem`] says why that did not work, by
//! the kinds that contracts of plugins tell apart.

use std::fmt;

use sessions::{Description, ElementType, Elements, Error, ErrorCode, Session, Tensor};

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/inference/0.1.0", world: "imports" });
}

/// The generated types of `meshhost:inference/sessions@0.1.0`, for the `with` option of
/// [`plugin!`](crate::plugin).
pub use bindings::meshhost::inference::sessions;

/// Why a model gave nothing. The text names the model and says what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is not granted, not there, or does not take what it was given.
    NoModel(String),
    /// More bytes, elements or open models than the plugin may use.
    TooLarge(String),
    /// The models have too much to do.
    Busy(String),
    /// The plugin's runs or compute time are used up.
    Quota(String),
    /// What runs the models is not there.
    Unavailable(String),
    /// The model or the host failed, or the call was ended.
    Fault(String),
}

impl Problem {
    fn new(model: &str, error: &Error) -> Self {
        let text = format!("the model {model:?}: {}", error.message);
        match error.code {
            ErrorCode::NotFound | ErrorCode::InvalidArgument => Self::NoModel(text),
            ErrorCode::TooLarge => Self::TooLarge(text),
            ErrorCode::Busy => Self::Busy(text),
            ErrorCode::Quota => Self::Quota(text),
            ErrorCode::Unavailable => Self::Unavailable(text),
            ErrorCode::Failed | ErrorCode::Cancelled => Self::Fault(text),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModel(text)
            | Self::TooLarge(text)
            | Self::Busy(text)
            | Self::Quota(text)
            | Self::Unavailable(text)
            | Self::Fault(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

/// An open model.
#[derive(Debug)]
pub struct Model {
    name: String,
    session: Session,
}

/// What a model gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Floats {
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its elements in row-major order; as many as the shape says.
    pub numbers: Vec<f32>,
}

impl Model {
    /// Opens a model by the name that it was granted under.
    ///
    /// # Errors
    /// When it is not granted or not there, or too many are open.
    pub fn open(name: &str) -> Result<Self, Problem> {
        let session = Session::open(name).map_err(|error| Problem::new(name, &error))?;
        Ok(Self { name: name.to_owned(), session })
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn describe(&self) -> Result<Description, Problem> {
        self.answer(self.session.describe())
    }

    /// Runs it once; there is one answer for each of `outputs`, in their order, and for all that it
    /// has when none are named.
    ///
    /// # Errors
    /// When the engine has no room, or the model fails on this input.
    pub fn run(&self, inputs: &[Tensor], outputs: &[String]) -> Result<Vec<Tensor>, Problem> {
        self.answer(self.session.run(inputs, outputs))
    }

    /// Runs it once for one output, of floats of 32 bits.
    ///
    /// # Errors
    /// When the engine has no room, the model fails on this input, or it answers with something else.
    pub fn floats(&self, inputs: &[Tensor], output: &str) -> Result<Floats, Problem> {
        let outputs = self.run(inputs, &[output.to_owned()])?;
        outputs.into_iter().next().and_then(floats).ok_or_else(|| {
            let text = format!("the model {:?} does not answer with 32-bit floats", self.name);
            Problem::NoModel(text)
        })
    }

    /// A file that was added with it.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be read.
    pub fn file(&self, name: &str) -> Result<Vec<u8>, Problem> {
        self.answer(self.session.file(name))
    }

    fn answer<T>(&self, answer: Result<T, Error>) -> Result<T, Problem> {
        answer.map_err(|error| Problem::new(&self.name, &error))
    }
}

/// A tensor's numbers; nothing when they are no floats of 32 bits.
fn floats(tensor: Tensor) -> Option<Floats> {
    let Elements::Bytes(bytes) = tensor.elements else { return None };
    let (values, rest) = bytes.as_chunks::<4>();
    if tensor.element_type != ElementType::Float32 || !rest.is_empty() {
        return None;
    }
    let shape: Option<_> =
        tensor.shape.into_iter().map(|length| usize::try_from(length).ok()).collect();
    let numbers = values.iter().copied().map(f32::from_le_bytes).collect();
    Some(Floats { shape: shape?, numbers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: ErrorCode) -> Problem {
        Problem::new("reader", &Error { code, message: "it is away".to_owned() })
    }

    #[test]
    fn a_problem_names_the_model_and_keeps_its_kind() {
        let text = || "the model \"reader\": it is away".to_owned();
        assert_eq!(problem(ErrorCode::NotFound), Problem::NoModel(text()));
        assert_eq!(problem(ErrorCode::InvalidArgument), Problem::NoModel(text()));
        assert_eq!(problem(ErrorCode::TooLarge), Problem::TooLarge(text()));
        assert_eq!(problem(ErrorCode::Busy), Problem::Busy(text()));
        assert_eq!(problem(ErrorCode::Quota), Problem::Quota(text()));
        assert_eq!(problem(ErrorCode::Unavailable), Problem::Unavailable(text()));
        assert_eq!(problem(ErrorCode::Failed), Problem::Fault(text()));
        assert_eq!(problem(ErrorCode::Cancelled), Problem::Fault(text()));
        assert_eq!(problem(ErrorCode::Busy).to_string(), text());
    }

    #[test]
    fn floats_are_of_32_bits() {
        let tensor = |element_type, elements| Tensor {
            name: "y".to_owned(),
            element_type,
            shape: vec![1, 2],
            elements,
        };
        let bytes = || Elements::Bytes([1.5_f32, -2.0].map(f32::to_le_bytes).concat());
        let given = floats(tensor(ElementType::Float32, bytes()));
        assert_eq!(given, Some(Floats { shape: vec![1, 2], numbers: vec![1.5, -2.0] }));
        assert_eq!(floats(tensor(ElementType::Int32, bytes())), None);
        assert_eq!(floats(tensor(ElementType::Float32, Elements::Bytes(vec![0; 7]))), None);
        assert_eq!(floats(tensor(ElementType::Text, Elements::Texts(Vec::new()))), None);
    }
}
