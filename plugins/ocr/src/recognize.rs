//! What lines say: the recogniser says for each step along a line how likely each character is
//! there, and the likeliest ones, without repetitions and gaps, are the text.

use crate::engine::{Model, Tensor};
use crate::failure::Failure;
use crate::number::{double, size};
use crate::picture::Picture;
use crate::shape::mean;
use crate::tensors;

/// Height of what the recogniser takes.
pub(crate) const HEIGHT: usize = 48;
/// Width by height of the narrowest tensor.
const RATIO_MIN: f64 = 320.0 / 48.0;
/// Width by height of the widest tensor; a longer line is squeezed.
const RATIO_MAX: f64 = 100.0;
/// Pixels for one step of the answer.
const STEP: usize = 8;
/// Bytes of one answer: what the node hands over at once, and what lies in our memory.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Where the models have their characters.
const CHARACTERS: &str = "character";
/// The first class stands for no character, the last for a space.
const EXTRA_CLASSES: usize = 2;

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) text: String,
    pub(crate) confidence: f32,
}

/// A recogniser with its characters.
pub(crate) struct Recognizer {
    model: Box<dyn Model>,
    characters: Vec<String>,
}

impl Recognizer {
    /// Takes a model that brings its characters.
    pub(crate) fn new(model: Box<dyn Model>) -> Result<Self, Failure> {
        let text = model.metadata(CHARACTERS)?.ok_or_else(|| {
            Failure::NoModel(format!(
                "the recogniser has no {CHARACTERS:?} in its metadata: it is no PP-OCR recogniser"
            ))
        })?;
        let characters = text.lines().chain([" "]).map(str::to_owned).collect();
        Ok(Self { model, characters })
    }

    /// Reads lines, which were resized for tensors of that width. Several runs give the same as
    /// one, and answers of bounded size.
    pub(crate) fn read(&self, lines: &[Picture], width: usize) -> Result<Vec<Reading>, Failure> {
        let classes = self.characters.len() + 1;
        let bytes = (width / STEP).max(1) * classes * size_of::<f32>();
        let mut readings = Vec::new();
        for some in lines.chunks((ANSWER_BYTES_MAX / bytes).max(1)) {
            let output = self.model.run(tensors::of(some, width, HEIGHT))?;
            readings.extend(self.readings(&output, some.len())?);
        }
        Ok(readings)
    }

    fn readings(&self, output: &Tensor, lines: usize) -> Result<Vec<Reading>, Failure> {
        let classes = self.characters.len() + 1;
        let line = match output.shape.as_slice() {
            [count, steps, of] if *count == lines && *of == classes => steps * classes,
            _ => 0,
        };
        if line == 0 || output.elements.len() != line * lines {
            return Err(Failure::NoModel(format!(
                "the recogniser answered the shape {:?} for {lines} lines and {} characters: it is \
                 no PP-OCR recogniser",
                output.shape,
                classes - EXTRA_CLASSES
            )));
        }
        let lines = output.elements.chunks_exact(line);
        Ok(lines.map(|line| self.reading(line.chunks_exact(classes))).collect())
    }

    fn reading<'a>(&self, steps: impl Iterator<Item = &'a [f32]>) -> Reading {
        let (mut text, mut likelihoods, mut previous) = (String::new(), Vec::new(), 0);
        for step in steps {
            let (class, likelihood) = likeliest(step);
            if class != previous {
                if let Some(character) = class.checked_sub(1).and_then(|at| self.characters.get(at))
                {
                    text.push_str(character);
                    likelihoods.push(likelihood);
                }
                previous = class;
            }
        }
        Reading { text, confidence: mean(likelihoods.into_iter()) }
    }
}

/// The first of the greatest values and where it is.
fn likeliest(values: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, value) in values.iter().enumerate() {
        if *value > best.1 {
            best = (index, *value);
        }
    }
    best
}

/// The width of a tensor for lines of these ratios of width by height.
pub(crate) fn tensor_width(ratios: impl Iterator<Item = f64>) -> usize {
    size(double(HEIGHT) * ratios.fold(RATIO_MIN, f64::max).min(RATIO_MAX))
}

/// The width of a line in a tensor of that width.
pub(crate) fn line_width(ratio: f64, most: usize, height: usize) -> usize {
    size((double(height) * ratio).ceil()).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model whose answer depends on nothing but the input's shape.
    struct Fixed {
        characters: Option<&'static str>,
        answer: fn(&[usize]) -> Tensor,
    }

    impl Model for Fixed {
        fn run(&self, input: Tensor) -> Result<Tensor, Failure> {
            Ok((self.answer)(&input.shape))
        }

        fn metadata(&self, key: &str) -> Result<Option<String>, Failure> {
            assert_eq!(key, "character");
            Ok(self.characters.map(str::to_owned))
        }
    }

    /// A recogniser of `a`, `b` and space whose answer to each line are these classes.
    fn classes(shape: &[usize], classes: &[usize]) -> Tensor {
        let mut line = vec![0.0; classes.len() * 4];
        for (step, class) in classes.iter().enumerate() {
            line[step * 4 + class] = 0.5 + 0.1 * crate::number::float(step);
        }
        Tensor { shape: vec![shape[0], classes.len(), 4], elements: line.repeat(shape[0]) }
    }

    fn read(answer: fn(&[usize]) -> Tensor, lines: usize) -> Result<Vec<Reading>, Failure> {
        let recognizer = Recognizer::new(Box::new(Fixed { characters: Some("a\nb"), answer }))?;
        let line = Picture::new(4, HEIGHT, vec![0; 4 * HEIGHT * 3]).unwrap();
        recognizer.read(&vec![line; lines], 32)
    }

    #[test]
    fn repetitions_and_gaps_are_left_out() {
        let readings = read(|shape| classes(shape, &[1, 1, 0, 1, 3]), 2).unwrap();
        assert_eq!(readings.len(), 2);
        assert_eq!(readings[0].text, "aa ");
        assert!((readings[0].confidence - (0.5 + 0.8 + 0.9) / 3.0).abs() < 1e-6);
        assert_eq!(readings[0], readings[1]);
        let nothing = read(|shape| classes(shape, &[0, 0]), 1).unwrap();
        assert_eq!(nothing, [Reading { text: String::new(), confidence: 0.0 }]);
    }

    #[test]
    fn other_models_are_told_apart() {
        let answers: [fn(&[usize]) -> Tensor; 3] = [
            |_| Tensor { shape: vec![1, 2, 5], elements: vec![0.0; 10] },
            |_| Tensor { shape: vec![1, 2, 4], elements: vec![0.0; 7] },
            |_| Tensor { shape: vec![1, 0, 4], elements: Vec::new() },
        ];
        for answer in answers {
            assert!(matches!(read(answer, 1), Err(Failure::NoModel(_))));
        }
        let without = Fixed { characters: None, answer: |shape| classes(shape, &[1]) };
        assert!(matches!(Recognizer::new(Box::new(without)), Err(Failure::NoModel(_))));
    }

    #[test]
    fn widths_follow_the_longest_line_within_bounds() {
        assert_eq!(tensor_width([1.0, 2.0].into_iter()), 320);
        assert_eq!(tensor_width([1.0, 10.51].into_iter()), 504);
        assert_eq!(tensor_width([1e9].into_iter()), 4800);
        assert_eq!(line_width(1.01, 320, HEIGHT), 49);
        assert_eq!(line_width(50.0, 320, HEIGHT), 320);
        assert_eq!(line_width(0.0, 320, HEIGHT), 1);
    }
}
