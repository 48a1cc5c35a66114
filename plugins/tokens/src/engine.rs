//! What runs models of text, as the plugins see it: the node in a component, anything else in
//! tests.

use crate::Failure;

/// The type of an input's or output's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Two's complement, 32 bits.
    Int32,
    /// Two's complement, 64 bits.
    Int64,
    /// IEEE 754, 32 bits.
    Float32,
    /// Anything else: models of text take and give none of it here.
    Other,
}

/// What a model says of one of its inputs or outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element: Element,
    /// Its dimensions, outermost first; absent where any size fits.
    pub shape: Vec<Option<usize>>,
}

/// What a model of text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// A text becomes a vector.
    Embed,
    /// A pair of texts becomes a number.
    Rerank,
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens but those that only fill.
    Mean,
    /// The first token's.
    First,
}

/// How a model of text is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextUse {
    /// What it is for.
    pub task: Task,
    /// How the tokens' vectors become one.
    pub pooling: Pooling,
    /// Whether that vector is brought to length 1.
    pub normalise: bool,
    /// Tokens that it takes, the marks at the ends included.
    pub tokens_max: u32,
}

/// What a model says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `blake3:` and 64 hexadecimal digits.
    pub digest: String,
    /// What it takes.
    pub inputs: Vec<Value>,
    /// What it gives.
    pub outputs: Vec<Value>,
    /// How it is used when it is a model of text.
    pub text: Option<TextUse>,
}

/// Whole numbers for an input, in rows of the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The input's name.
    pub name: String,
    /// The type of its elements: [`Element::Int32`] or [`Element::Int64`].
    pub element: Element,
    /// How many rows there are.
    pub rows: usize,
    /// All rows, one after the other.
    pub numbers: Vec<u32>,
}

/// What a model gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its elements in row-major order; as many as the shape says.
    pub numbers: Vec<f32>,
}

/// An open model.
pub trait Model {
    /// What it says of itself.
    fn description(&self) -> &Description;

    /// Its `tokenizer.json`.
    ///
    /// # Errors
    /// When it has none, or the engine is not there.
    fn tokenizer(&self) -> Result<Vec<u8>, Failure>;

    /// Runs it once for one of its outputs.
    ///
    /// # Errors
    /// When the engine has no room, or the model fails on this input.
    fn run(&self, inputs: Vec<Input>, output: &str) -> Result<Output, Failure>;
}

/// What has models.
pub trait Engine {
    /// Opens a model by name.
    ///
    /// # Errors
    /// When there is none of that name, or the engine is not there.
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure>;
}
