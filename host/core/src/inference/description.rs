//! What a model says of itself, and whether tensors fit it.

use serde::{Deserialize, Serialize};

use super::{ElementType, InferenceError, InferenceErrorCode, TENSORS_MAX, Tensor};
use crate::id::Digest;

/// What the model says of one of its inputs or outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueInfo {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element_type: ElementType,
    /// Its dimensions, outermost first; none where any size fits.
    pub shape: Vec<Option<u32>>,
}

/// What a model says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Which model this is.
    pub digest: Digest,
    /// What it takes; every input is required.
    pub inputs: Vec<ValueInfo>,
    /// What it gives.
    pub outputs: Vec<ValueInfo>,
    /// Keys and texts that its author wrote into it.
    pub metadata: Vec<(String, String)>,
    /// Names of the other files that were added with it.
    pub files: Vec<String>,
    /// How it is used, when it is a model of text.
    pub text: Option<TextUse>,
}

/// How a model of text is used, as its author's card says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextUse {
    /// What it answers.
    pub task: TextTask,
    /// Tokens of one text, or of query and passage together, the marks at the ends included; the
    /// rest is cut off.
    pub tokens_max: u32,
}

/// What a model of text answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextTask {
    /// One vector for each text.
    Embed {
        /// How the vectors of the tokens become one.
        pooling: Pooling,
        /// Whether the vector is scaled to the length 1.
        normalise: bool,
    },
    /// One number for each pair of query and passage: the model's only logit.
    Rerank,
}

/// How the vectors of the tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean over all tokens that are not padding.
    Mean,
    /// The first token's.
    First,
}

impl Description {
    /// Whether these are all of the model's inputs, once each, of the type and shape that it
    /// takes, and every float in them finite: a model gets no value that no number is, since in a
    /// batch it could reach the results of others.
    ///
    /// # Errors
    /// [`InferenceErrorCode::InvalidArgument`] with what does not fit.
    pub fn check_inputs(&self, tensors: &[Tensor]) -> Result<(), InferenceError> {
        if tensors.len() > TENSORS_MAX {
            return Err(invalid("a run takes at most 256 tensors"));
        }
        for (position, tensor) in tensors.iter().enumerate() {
            let name = tensor.name();
            if tensors.iter().take(position).any(|earlier| earlier.name() == name) {
                return Err(invalid(&format!("the input `{name}` is given twice")));
            }
            let Some(info) = self.inputs.iter().find(|info| info.name == name) else {
                return Err(invalid(&format!("the model has no input `{name}`")));
            };
            check_input(info, tensor)?;
        }
        match self.inputs.iter().find(|info| tensors.iter().all(|it| it.name() != info.name)) {
            Some(info) => Err(invalid(&format!("the input `{}` is missing", info.name))),
            None => Ok(()),
        }
    }

    /// Whether each name is one of the model's outputs, and none is given twice.
    ///
    /// # Errors
    /// [`InferenceErrorCode::InvalidArgument`] with the name.
    pub fn check_outputs(&self, names: &[String]) -> Result<(), InferenceError> {
        if names.len() > TENSORS_MAX {
            return Err(invalid("a run gives at most 256 tensors"));
        }
        for (position, name) in names.iter().enumerate() {
            if names.iter().take(position).any(|earlier| earlier == name) {
                return Err(invalid(&format!("the output `{name}` is named twice")));
            }
            if self.outputs.iter().all(|info| info.name != *name) {
                return Err(invalid(&format!("the model has no output `{name}`")));
            }
        }
        Ok(())
    }
}

fn check_input(info: &ValueInfo, tensor: &Tensor) -> Result<(), InferenceError> {
    let name = &info.name;
    if tensor.element_type() != info.element_type {
        return Err(invalid(&format!(
            "the input `{name}` is {}, and the model takes {}",
            tensor.element_type().name(),
            info.element_type.name()
        )));
    }
    let fits = |(size, wanted): (&u32, &Option<u32>)| wanted.is_none_or(|wanted| wanted == *size);
    let shape = tensor.shape();
    if shape.len() != info.shape.len() || !shape.iter().zip(&info.shape).all(fits) {
        return Err(invalid(&format!(
            "the input `{name}` has the shape {shape:?}, and the model takes {}",
            shown(&info.shape)
        )));
    }
    if !tensor.is_finite() {
        return Err(invalid(&format!("the input `{name}` has a value that is not finite")));
    }
    Ok(())
}

fn shown(shape: &[Option<u32>]) -> String {
    let sizes: Vec<String> = shape
        .iter()
        .map(|size| size.map_or_else(|| "any".to_owned(), |it| it.to_string()))
        .collect();
    format!("[{}]", sizes.join(", "))
}

fn invalid(message: &str) -> InferenceError {
    InferenceError::new(InferenceErrorCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Elements;

    fn model() -> Description {
        let value = |name: &str, shape| ValueInfo {
            name: name.to_owned(),
            element_type: ElementType::Float32,
            shape,
        };
        Description {
            digest: Digest::of(b"model"),
            inputs: vec![value("a", vec![None, Some(2)]), value("b", vec![])],
            outputs: vec![value("sum", vec![None, Some(2)])],
            metadata: Vec::new(),
            files: Vec::new(),
            text: None,
        }
    }

    fn floats(name: &str, shape: &[u32], value: f32) -> Tensor {
        let count: u32 = shape.iter().product();
        let bytes = (0..count).flat_map(|_| value.to_le_bytes()).collect();
        let elements = Elements::Bytes(bytes);
        Tensor::new(name.into(), ElementType::Float32, shape.to_vec(), elements, 4096).unwrap()
    }

    #[test]
    fn inputs_are_the_models_own() {
        let b = || floats("b", &[], 0.5);
        let whole = [floats("a", &[3, 2], 1.0), b()];
        assert_eq!(model().check_inputs(&whole), Ok(()));
        let integer = Tensor::new(
            "a".into(),
            ElementType::Int32,
            vec![1, 2],
            Elements::Bytes(vec![0; 8]),
            64,
        );
        for (tensors, message) in [
            (vec![b()], "`a` is missing"),
            (vec![floats("a", &[1, 2], 0.0), b(), b()], "`b` is given twice"),
            (vec![floats("a", &[1, 2], 0.0), b(), floats("c", &[], 0.0)], "no input `c`"),
            (vec![floats("a", &[1, 3], 0.0), b()], "takes [any, 2]"),
            (vec![floats("a", &[2], 0.0), b()], "the shape [2]"),
            (vec![integer.unwrap(), b()], "is int32, and the model takes float32"),
            (vec![floats("a", &[1, 2], f32::NAN), b()], "not finite"),
            (vec![floats("a", &[1, 2], f32::INFINITY), b()], "not finite"),
        ] {
            let error = model().check_inputs(&tensors).unwrap_err();
            assert_eq!(error.code, InferenceErrorCode::InvalidArgument);
            assert!(error.message.contains(message), "{}", error.message);
        }
    }

    #[test]
    fn outputs_are_the_models_own() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(model().check_outputs(&names(&["sum"])), Ok(()));
        assert_eq!(model().check_outputs(&[]), Ok(()));
        assert!(model().check_outputs(&names(&["sum", "sum"])).is_err());
        assert!(model().check_outputs(&names(&["other"])).is_err());
    }
}
