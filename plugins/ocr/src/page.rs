//! The three things that can be asked: all text of a picture, where it stands, and what some regions
//! say.

use crate::crop::{angle, is_tall};
use crate::decode::decode;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::lines::{ReadLine, Readers, read};
use crate::order;
use crate::recognize::Recognizer;
use crate::shape::{Corners, sides};
use crate::view::{Sizing, View};

/// Regions of one question.
pub const REGIONS_MAX: usize = 256;
/// Shortest side of a region, in pixels.
const REGION_SIDE_MIN: f32 = 4.0;
/// Largest coordinate of a region.
const COORDINATE_MAX: f32 = 100_000.0;

/// How a picture is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Lines of less confidence are left out.
    pub minimum_confidence: f32,
    /// Whether lines that stand on their head are turned.
    pub classify_angle: bool,
    /// How a large picture is treated.
    pub sizing: Sizing,
    /// The name of the model that finds lines.
    pub detector: String,
    /// The name of the model that tells lines that stand on their head.
    pub classifier: String,
    /// The name of the model that reads lines.
    pub recognizer: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            minimum_confidence: 0.5,
            classify_angle: true,
            sizing: Sizing::Automatic,
            detector: "ppocr-det".to_owned(),
            classifier: "ppocr-cls".to_owned(),
            recognizer: "ppocr-rec".to_owned(),
        }
    }
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it says.
    pub text: String,
    /// How sure that is, 0 to 1.
    pub confidence: f32,
    /// By how many degrees it is turned clockwise, 0 to less than 360.
    pub angle: f32,
    /// Where it stands in the upright picture.
    pub corners: Corners,
}

/// What was found in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Width of the upright picture in pixels.
    pub width: usize,
    /// Height of the upright picture in pixels.
    pub height: usize,
    /// What was found, in the order of reading.
    pub found: Vec<T>,
}

/// Reads all text of a picture.
///
/// # Errors
/// When the picture cannot be decoded, a parameter is wrong, or a model does not work.
pub fn recognize(
    engine: &dyn Engine,
    file: Vec<u8>,
    options: &Options,
) -> Result<Page<Line>, Failure> {
    checked(options)?;
    let view = view(file, options)?;
    let regions = detect(engine, &view, options)?;
    let found = lines(engine, &view, &regions, options)?;
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    order::turned(&mut found, |line| line.angle, |line| &line.corners);
    let (width, height) = view.original_size();
    Ok(Page { width, height, found })
}

/// Finds where text stands.
///
/// # Errors
/// When the picture cannot be decoded or the model does not work.
pub fn find_regions(
    engine: &dyn Engine,
    file: Vec<u8>,
    options: &Options,
) -> Result<Page<Corners>, Failure> {
    let view = view(file, options)?;
    let regions = detect(engine, &view, options)?;
    let found = regions.into_iter().map(|region| view.to_original(region)).collect();
    let (width, height) = view.original_size();
    Ok(Page { width, height, found })
}

/// Reads the text in some regions. One answer for each, in their order.
///
/// # Errors
/// When there are too many regions or one is too small, the picture cannot be decoded, a parameter
/// is wrong, or a model does not work.
pub fn recognize_regions(
    engine: &dyn Engine,
    file: Vec<u8>,
    regions: &[Corners],
    options: &Options,
) -> Result<Vec<Option<Line>>, Failure> {
    checked(options)?;
    if regions.len() > REGIONS_MAX {
        return Err(Failure::TooLarge(format!(
            "there are {} regions, the most is {REGIONS_MAX}: ask in pieces",
            regions.len()
        )));
    }
    for (number, region) in regions.iter().enumerate() {
        checked_region(number, region)?;
    }
    let view = view(file, options)?;
    let regions: Vec<_> = regions.iter().map(|region| view.to_view(*region)).collect();
    lines(engine, &view, &regions, options)
}

fn checked(options: &Options) -> Result<(), Failure> {
    if (0.0..=1.0).contains(&options.minimum_confidence) {
        return Ok(());
    }
    Err(Failure::Invalid(format!(
        "the minimum confidence is {}: it must lie between 0 and 1",
        options.minimum_confidence
    )))
}

fn checked_region(number: usize, region: &Corners) -> Result<(), Failure> {
    let is_place = |value: f32| (0.0..=COORDINATE_MAX).contains(&value);
    if !region.iter().all(|corner| is_place(corner.x) && is_place(corner.y)) {
        return Err(Failure::Invalid(format!(
            "region {number} (from 0) has a corner that lies in no picture: its numbers must lie \
             between 0 and {COORDINATE_MAX}"
        )));
    }
    if sides(region).into_iter().any(|side| side < REGION_SIDE_MIN) {
        return Err(Failure::Invalid(format!(
            "region {number} (from 0) has a side of less than {REGION_SIDE_MIN} pixels"
        )));
    }
    Ok(())
}

fn view(file: Vec<u8>, options: &Options) -> Result<View, Failure> {
    let picture = decode(&file)?;
    // The memory is needed for what follows.
    drop(file);
    Ok(View::new(picture, options.sizing))
}

/// The regions of text in a view, in the order of reading.
fn detect(engine: &dyn Engine, view: &View, options: &Options) -> Result<Vec<Corners>, Failure> {
    let mut regions = view.detect(engine.open(&options.detector)?.as_ref())?;
    order::sort(&mut regions, |region| region);
    Ok(regions)
}

/// What regions of a view say, with enough confidence.
fn lines(
    engine: &dyn Engine,
    view: &View,
    regions: &[Corners],
    options: &Options,
) -> Result<Vec<Option<Line>>, Failure> {
    if regions.is_empty() {
        return Ok(Vec::new());
    }
    let classifier =
        options.classify_angle.then(|| engine.open(&options.classifier)).transpose()?;
    let recognizer = Recognizer::new(engine.open(&options.recognizer)?)?;
    let lines = read(&Readers { classifier, recognizer }, view.picture(), regions)?;
    let lines = lines.into_iter().zip(regions).map(|(line, region)| {
        let line = line.filter(|line| is_worth_saying(line, options.minimum_confidence))?;
        Some(Line {
            text: line.reading.text,
            confidence: line.reading.confidence,
            angle: turned(region, line.on_its_head),
            corners: view.to_original(*region),
        })
    });
    Ok(lines.collect())
}

fn is_worth_saying(line: &ReadLine, minimum_confidence: f32) -> bool {
    !line.reading.text.is_empty() && line.reading.confidence >= minimum_confidence
}

/// By how many degrees the text in a region is turned clockwise.
fn turned(region: &Corners, on_its_head: bool) -> f32 {
    let quarter = if is_tall(region) { 90.0 } else { 0.0 };
    let half = if on_its_head { 180.0 } else { 0.0 };
    let degrees = (angle(region) + quarter + half).rem_euclid(360.0);
    // Rounding may give the full circle.
    if degrees < 360.0 { degrees } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Point;

    fn upright(x: f32, y: f32, width: f32, height: f32) -> Corners {
        let at = |x, y| Point { x, y };
        [at(x, y), at(x + width, y), at(x + width, y + height), at(x, y + height)]
    }

    #[test]
    fn angles_go_round() {
        let flat = upright(0.0, 0.0, 100.0, 20.0);
        let tall = upright(0.0, 0.0, 20.0, 100.0);
        assert_eq!([turned(&flat, false), turned(&flat, true)], [0.0, 180.0]);
        assert_eq!([turned(&tall, false), turned(&tall, true)], [90.0, 270.0]);
        let at = |x, y| Point { x, y };
        let rising = [at(0.0, 1e-6), at(100.0, 0.0), at(100.0, 20.0), at(0.0, 20.0)];
        assert!((0.0..360.0).contains(&turned(&rising, false)));
    }

    #[test]
    fn regions_must_lie_in_a_picture_and_have_a_size() {
        assert!(checked_region(0, &upright(0.0, 0.0, 4.0, 4.0)).is_ok());
        for bad in [
            upright(0.0, 0.0, 3.9, 40.0),
            upright(-1.0, 0.0, 40.0, 40.0),
            upright(0.0, f32::NAN, 40.0, 40.0),
            upright(0.0, 0.0, f32::INFINITY, 40.0),
        ] {
            assert!(matches!(checked_region(7, &bad), Err(Failure::Invalid(_))));
        }
    }
}
