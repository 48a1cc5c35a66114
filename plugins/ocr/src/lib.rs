//! The plugin `ocr`: `meshhost:ocr/recognizer@0.1.0`, text in images.
//!
//! The models run on the node, behind `meshhost:inference/sessions`; what stands here is everything
//! around them. A file becomes a picture ([`decode`]) and then what the models work on (`view`,
//! `tiles`); the detector marks text, whose borders become rectangles (`detect`, `contour`,
//! `rectangle`, `outset`); each rectangle is cut out and turned upright (`crop`, `classify`) and
//! read (`recognize`). [`page`] puts it together and knows models only as [`engine`], so tests run
//! the same code with an engine of their own.
//!
//! Pre- and post-processing are those that PP-OCR's models were published with, in the numbers of
//! the Python package `rapidocr-onnxruntime`.

mod classify;
mod contour;
mod contract;
mod crop;
pub mod decode;
mod detect;
pub mod engine;
pub mod failure;
mod lines;
mod number;
mod order;
mod outset;
pub mod page;
pub mod picture;
mod recognize;
mod rectangle;
mod resize;
mod sessions;
pub mod shape;
mod tensors;
mod tiles;
pub mod view;

meshhost_sdk::plugin!({
    path: ["../../wit/blob/0.1.0", "../../wit/inference/0.1.0", "../../wit/ocr/0.1.0"],
    world: "meshhost:ocr/provider",
    with: {
        "meshhost:blob/types@0.1.0": meshhost_sdk::blob::types,
        "meshhost:inference/sessions@0.1.0": meshhost_sdk::inference::sessions,
    },
});

use bindings::exports::meshhost::ocr::recognizer;
use meshhost_sdk::blob::Blob;
use recognizer::{Error, Guest, Line, Models, Page, Region, Regions, Sizing};

/// The plugin.
#[derive(Debug)]
pub struct Plugin;

// The names of the exports are no symbols that a native linker takes.
#[cfg(target_arch = "wasm32")]
export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn recognize(
        image: &Blob,
        minimum_confidence: Option<f32>,
        classify_angle: Option<bool>,
        sizing: Option<Sizing>,
        models: Option<Models>,
    ) -> Result<Page, Error> {
        let options = contract::options(minimum_confidence, classify_angle, sizing, models);
        let page = page::recognize(&sessions::Node, contract::file(image)?, &options)?;
        Ok(contract::page(page))
    }

    fn find_regions(
        image: &Blob,
        sizing: Option<Sizing>,
        models: Option<Models>,
    ) -> Result<Regions, Error> {
        let options = contract::options(None, None, sizing, models);
        let page = page::find_regions(&sessions::Node, contract::file(image)?, &options)?;
        Ok(contract::regions(page))
    }

    fn recognize_regions(
        image: &Blob,
        regions: Vec<Region>,
        minimum_confidence: Option<f32>,
        classify_angle: Option<bool>,
        sizing: Option<Sizing>,
        models: Option<Models>,
    ) -> Result<Vec<Option<Line>>, Error> {
        let options = contract::options(minimum_confidence, classify_angle, sizing, models);
        let regions: Vec<_> = regions.into_iter().map(contract::corners).collect();
        let file = contract::file(image)?;
        let lines = page::recognize_regions(&sessions::Node, file, &regions, &options)?;
        Ok(lines.into_iter().map(|line| line.map(contract::line)).collect())
    }
}
