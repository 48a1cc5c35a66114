//! Between the contract's types and ours.

use meshhost_sdk::blob::types::BlobError;
use meshhost_sdk::blob::{self, Blob, Problem};

use crate::decode::FILE_BYTES_MAX;
use crate::failure::Failure;
use crate::number::contract;
use crate::page;
use crate::recognizer::{self as wit, Error};
use crate::shape::{Corners, Point};
use crate::view::Sizing;

/// The bytes of a blob, read in pieces; its length is looked at first.
pub(crate) fn file(image: &Blob) -> Result<Vec<u8>, Failure> {
    blob::read_all(image, FILE_BYTES_MAX).map_err(|problem| match problem {
        Problem::TooLarge { length, at_most } => Failure::TooLarge(format!(
            "the file has {length} bytes, the most is {at_most}: make the picture smaller"
        )),
        Problem::Host(BlobError::NotFound) => {
            Failure::Invalid("the node does not have the picture's blob".to_owned())
        }
        Problem::Host(_) => Failure::Fault(format!("the picture could not be read: {problem}")),
    })
}

pub(crate) fn options(
    minimum_confidence: Option<f32>,
    classify_angle: Option<bool>,
    sizing: Option<wit::Sizing>,
    models: Option<wit::Models>,
) -> page::Options {
    let ours = page::Options::default();
    let (detector, classifier, recognizer) =
        models.map_or((None, None, None), |m| (m.detector, m.classifier, m.recognizer));
    page::Options {
        minimum_confidence: minimum_confidence.unwrap_or(ours.minimum_confidence),
        classify_angle: classify_angle.unwrap_or(ours.classify_angle),
        sizing: match sizing {
            None | Some(wit::Sizing::Automatic) => Sizing::Automatic,
            Some(wit::Sizing::Shrink) => Sizing::Shrink,
            Some(wit::Sizing::Tiles) => Sizing::Tiles,
        },
        detector: detector.unwrap_or(ours.detector),
        classifier: classifier.unwrap_or(ours.classifier),
        recognizer: recognizer.unwrap_or(ours.recognizer),
    }
}

pub(crate) fn page(page: page::Page<page::Line>) -> wit::Page {
    wit::Page {
        width: contract(page.width),
        height: contract(page.height),
        lines: page.found.into_iter().map(line).collect(),
    }
}

pub(crate) fn regions(page: page::Page<Corners>) -> wit::Regions {
    wit::Regions {
        width: contract(page.width),
        height: contract(page.height),
        regions: page.found.into_iter().map(region).collect(),
    }
}

pub(crate) fn line(line: page::Line) -> wit::Line {
    wit::Line {
        text: line.text,
        confidence: line.confidence,
        angle: line.angle,
        region: region(line.corners),
    }
}

fn region(corners: Corners) -> wit::Region {
    let [top_left, top_right, bottom_right, bottom_left] =
        corners.map(|point| wit::Point { x: point.x, y: point.y });
    wit::Region { top_left, top_right, bottom_right, bottom_left }
}

pub(crate) fn corners(region: wit::Region) -> Corners {
    [region.top_left, region.top_right, region.bottom_right, region.bottom_left]
        .map(|point| Point { x: point.x, y: point.y })
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unsupported(text) => Self::Unsupported(text),
            Failure::Damaged(text) => Self::Damaged(text),
            Failure::TooLarge(text) => Self::TooLarge(text),
            Failure::Invalid(text) => Self::Invalid(text),
            Failure::NoModel(text) => Self::NoModel(text),
            Failure::Busy(text) => Self::Busy(text),
            Failure::Quota(text) => Self::Quota(text),
            Failure::Unavailable(text) => Self::Unavailable(text),
            Failure::Fault(text) => Self::Fault(text),
        }
    }
}
