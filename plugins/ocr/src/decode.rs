//! From the bytes of a file to a picture. The only module that names the codecs.
//!
//! Size comes first: a header of a few bytes may announce gigabytes, so dimensions are read and
//! bounded before anything is decoded.

mod background;
mod jpeg;

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, metadata::Orientation,
};

use crate::failure::{Failure, shortened};
use crate::picture::{CHANNELS, Picture};

/// Bytes of a file.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Pixels of a picture: A2 at 300 dots an inch has 35 million.
pub const PIXELS_MAX: u64 = 40_000_000;
/// Pixels of a side: the most that JPEG has.
const SIDE_MAX: u32 = 65_535;
/// Bytes of the decoded picture as it is stored, before it becomes three bytes a pixel.
const DECODED_BYTES_MAX: u64 = 160 * 1024 * 1024;
/// Bytes that a codec may allocate; together with file and picture it fits into the memory that the
/// manifest asks for.
const CODEC_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The first picture in a file, upright.
///
/// # Errors
/// When the format is not read here, the file is damaged, or it is larger than the bounds.
pub fn decode(bytes: &[u8]) -> Result<Picture, Failure> {
    let format = image::guess_format(bytes).map_err(|_| unknown())?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(CODEC_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refusal)?;
    bounded(&decoder)?;
    if format == ImageFormat::Jpeg && !jpeg::is_whole(bytes) {
        return Err(damaged("it is cut off"));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(refusal)?;
    image.apply_orientation(orientation);
    picture(image).ok_or_else(|| damaged("it has no pixels"))
}

/// Refuses what would take too much memory, before it does.
fn bounded(decoder: &impl ImageDecoder) -> Result<(), Failure> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(damaged("it has no pixels"));
    }
    if pixels > PIXELS_MAX || width.max(height) > SIDE_MAX {
        return Err(Failure::TooLarge(format!(
            "the picture has {width} by {height} pixels, the most is {PIXELS_MAX}, and {SIDE_MAX} \
             on a side: make it smaller"
        )));
    }
    let bytes = decoder.total_bytes();
    if bytes > DECODED_BYTES_MAX {
        return Err(Failure::TooLarge(format!(
            "the decoded picture has {bytes} bytes, the most is {DECODED_BYTES_MAX}: make it \
             smaller or give it 8 bits a channel"
        )));
    }
    Ok(())
}

/// Three bytes a pixel, whatever it was before.
fn picture(image: DynamicImage) -> Option<Picture> {
    let width = usize::try_from(image.width()).ok()?;
    let height = usize::try_from(image.height()).ok()?;
    let pixels = match image {
        DynamicImage::ImageLuma8(grey) => {
            grey.into_raw().into_iter().flat_map(|value| [value; CHANNELS]).collect()
        }
        DynamicImage::ImageRgb8(colour) => swapped(colour.into_raw()),
        other if other.color().has_alpha() => background::behind(&other.into_rgba8().into_raw()),
        other => swapped(other.into_rgb8().into_raw()),
    };
    Picture::new(width, height, pixels)
}

/// Red and blue change places.
fn swapped(mut pixels: Vec<u8>) -> Vec<u8> {
    for pixel in pixels.as_chunks_mut::<CHANNELS>().0 {
        pixel.swap(0, 2);
    }
    pixels
}

fn unknown() -> Failure {
    Failure::Unsupported(
        "the bytes are no PNG, JPEG, WebP, TIFF, BMP or GIF: convert the picture".to_owned(),
    )
}

fn damaged(how: &str) -> Failure {
    Failure::Damaged(format!("the picture is damaged: {how}"))
}

fn refusal(error: ImageError) -> Failure {
    match error {
        ImageError::Unsupported(error) => Failure::Unsupported(format!(
            "this kind of picture is not read: {}; convert it",
            shortened(error)
        )),
        ImageError::Limits(_) => {
            Failure::TooLarge("the picture needs too much memory: make it smaller".to_owned())
        }
        error => damaged(&shortened(error)),
    }
}
