//! From regions to lines: cut out, turned upright, read. Lines of similar length are read together,
//! so that little of a tensor is empty; only small pictures of them are kept, whatever the size of
//! the regions.

use crate::classify::{self, on_their_heads};
use crate::crop::{crop, ratio};
use crate::engine::Model;
use crate::failure::Failure;
use crate::picture::Picture;
use crate::recognize::{self, Reading, Recognizer, line_width, tensor_width};
use crate::resize::resize;
use crate::shape::Corners;

/// Lines that are read together.
const BATCH: usize = 6;

/// What reads lines.
pub(crate) struct Readers {
    /// Tells lines that stand on their head, where that is wanted.
    pub(crate) classifier: Option<Box<dyn Model>>,
    /// Reads them.
    pub(crate) recognizer: Recognizer,
}

/// What was read in a region.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReadLine {
    pub(crate) reading: Reading,
    pub(crate) on_its_head: bool,
}

/// Reads regions of a picture. One answer for each, in their order.
pub(crate) fn read(
    readers: &Readers,
    picture: &Picture,
    regions: &[Corners],
) -> Result<Vec<Option<ReadLine>>, Failure> {
    let mut order: Vec<_> = regions.iter().map(ratio).enumerate().collect();
    order.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let mut lines = vec![None; regions.len()];
    for batch in order.chunks(BATCH) {
        let width = tensor_width(batch.iter().map(|(_, ratio)| *ratio));
        let strips = batch.iter().filter_map(|(index, ratio)| {
            strips(picture, regions.get(*index)?, *ratio, width).map(|strips| (*index, strips))
        });
        let (places, strips): (Vec<_>, Vec<_>) = strips.unzip();
        for (place, line) in places.into_iter().zip(read_batch(readers, strips, width)?) {
            if let Some(slot) = lines.get_mut(place) {
                *slot = Some(line);
            }
        }
    }
    Ok(lines)
}

/// A line as the recogniser and the classifier take it.
type Strips = (Picture, Picture);

fn strips(picture: &Picture, region: &Corners, ratio: f64, width: usize) -> Option<Strips> {
    let line = crop(picture, region)?;
    let wide = line_width(ratio, width, recognize::HEIGHT);
    let narrow = line_width(ratio, classify::WIDTH, classify::HEIGHT);
    let for_recognizer = resize(&line, wide, recognize::HEIGHT)?;
    let for_classifier = resize(&line, narrow, classify::HEIGHT)?;
    Some((for_recognizer, for_classifier))
}

fn read_batch(
    readers: &Readers,
    strips: Vec<Strips>,
    width: usize,
) -> Result<Vec<ReadLine>, Failure> {
    let (mut lines, for_classifier): (Vec<_>, Vec<_>) = strips.into_iter().unzip();
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let turned = match &readers.classifier {
        Some(classifier) => on_their_heads(classifier.as_ref(), &for_classifier)?,
        None => vec![false; lines.len()],
    };
    for (line, turned) in lines.iter_mut().zip(&turned) {
        if *turned {
            *line = line.on_its_head();
        }
    }
    let readings = readers.recognizer.read(&lines, width)?;
    let lines = readings.into_iter().zip(turned);
    Ok(lines.map(|(reading, on_its_head)| ReadLine { reading, on_its_head }).collect())
}
