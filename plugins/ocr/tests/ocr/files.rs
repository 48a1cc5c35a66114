//! Files of all formats, whole and broken. Those in `files/` are 16 by 8 pixels, red on the left and
//! dark blue on the right, in forms that the codecs here do not write.

use std::fs;
use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use meshhost_ocr::decode::{FILE_BYTES_MAX, PIXELS_MAX, decode};
use meshhost_ocr::failure::Failure;
use meshhost_ocr::picture::Picture;

const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Tiff,
    ImageFormat::Bmp,
    ImageFormat::Gif,
];

fn file(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/ocr/files/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Blue, green and red of a pixel.
fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
    let row = picture.rows().nth(y).unwrap();
    row[3 * x..3 * x + 3].try_into().unwrap()
}

#[track_caller]
fn check_pixel(picture: &Picture, (x, y): (usize, usize), [red, green, blue]: [u8; 3], near: u8) {
    let found = pixel(picture, x, y);
    let is_near = found.iter().zip([blue, green, red]).all(|(a, b)| a.abs_diff(b) <= near);
    assert!(is_near, "{x}, {y}: {found:?} in blue, green and red");
}

const RED: [u8; 3] = [200, 30, 40];
const BLUE: [u8; 3] = [10, 20, 120];

fn two_colours(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| Rgb(if x < width / 2 { RED } else { BLUE }))
}

#[test]
fn every_format_is_read() {
    for format in FORMATS {
        let picture = decode(&written(&two_colours(32, 16).into(), format)).unwrap();
        assert_eq!((picture.width(), picture.height()), (32, 16), "{format:?}");
        check_pixel(&picture, (2, 3), RED, 6);
        check_pixel(&picture, (29, 12), BLUE, 6);
    }
}

#[test]
fn every_form_is_read() {
    let grey = [81, 81, 81];
    let dark = [28, 28, 28];
    let forms = [
        ("cmyk.jpg", RED, BLUE),
        ("cmyk.tiff", RED, BLUE),
        ("progressive.jpg", RED, BLUE),
        ("lossy.webp", RED, BLUE),
        ("palette.png", RED, BLUE),
        ("palette.bmp", RED, BLUE),
        ("deflate.tiff", RED, BLUE),
        ("moving.png", RED, BLUE),
        ("moving.webp", RED, BLUE),
        ("grey.jpg", grey, dark),
        ("grey16.png", [200; 3], [200; 3]),
        ("bits.png", [255; 3], [0; 3]),
        ("fax.tiff", [255; 3], [0; 3]),
    ];
    for (name, left, right) in forms {
        let picture = decode(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((picture.width(), picture.height()), (16, 8), "{name}");
        check_pixel(&picture, (2, 4), left, 12);
        check_pixel(&picture, (13, 4), right, 12);
    }
    assert!(matches!(decode(&file("palette.tiff")), Err(Failure::Unsupported(_))));
}

#[test]
fn channels_of_16_bits_and_opacity_become_8_bits_without() {
    let deep = image::ImageBuffer::from_pixel(3, 2, image::Rgba([51_400_u16, 0, 25_700, 65_535]));
    let picture = decode(&written(&DynamicImage::ImageRgba16(deep), ImageFormat::Png)).unwrap();
    check_pixel(&picture, (2, 1), [200, 0, 100], 1);
    let clear = RgbaImage::from_fn(4, 1, |x, _| Rgba([0, 0, 0, if x < 2 { 255 } else { 0 }]));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let picture = decode(&written(&clear.clone().into(), format)).unwrap();
        check_pixel(&picture, (0, 0), [0; 3], 0);
        check_pixel(&picture, (3, 0), [255; 3], 0);
    }
}

#[test]
fn of_a_moving_picture_the_first_frame_counts() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for colour in [[255, 0, 0, 255], [0, 255, 0, 255]] {
        let frame = RgbaImage::from_pixel(5, 4, Rgba(colour));
        encoder.encode_frame(Frame::new(frame)).unwrap();
    }
    drop(encoder);
    let picture = decode(&bytes).unwrap();
    assert_eq!((picture.width(), picture.height()), (5, 4));
    check_pixel(&picture, (1, 1), [255, 0, 0], 0);
}

/// A JPEG whose EXIF says how the camera was held.
fn held(orientation: u8, image: RgbImage) -> Vec<u8> {
    let jpeg = written(&image.into(), ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn how_the_camera_was_held_is_undone() {
    // Where the red half is afterwards.
    let cases = [
        (1, (32, 16), (4, 8), (28, 8)),
        (3, (32, 16), (28, 8), (4, 8)),
        (6, (16, 32), (8, 4), (8, 28)),
        (8, (16, 32), (8, 28), (8, 4)),
    ];
    for (orientation, size, red, blue) in cases {
        let picture = decode(&held(orientation, two_colours(32, 16))).unwrap();
        assert_eq!((picture.width(), picture.height()), size, "{orientation}");
        check_pixel(&picture, red, RED, 12);
        check_pixel(&picture, blue, BLUE, 12);
    }
}

#[test]
fn what_is_cut_off_is_damaged() {
    let mut random = fastrand::Rng::with_seed(3);
    let noise =
        RgbImage::from_fn(60, 40, |_, _| Rgb([random.u8(..), random.u8(..), random.u8(..)]));
    for format in FORMATS {
        let whole = written(&noise.clone().into(), format);
        assert!(decode(&whole).is_ok(), "{format:?}");
        for share in [1, 3, 5, 7, 9] {
            let cut = &whole[..whole.len() * share / 10];
            let refused = decode(cut);
            assert!(matches!(refused, Err(Failure::Damaged(_))), "{format:?} {share}: {refused:?}");
        }
    }
    for name in ["progressive.jpg", "cmyk.jpg", "lossy.webp", "fax.tiff"] {
        let whole = file(name);
        let refused = decode(&whole[..whole.len() * 2 / 3]);
        assert!(matches!(refused, Err(Failure::Damaged(_))), "{name}: {refused:?}");
    }
}

#[test]
fn changed_bytes_never_do_more_than_fail() {
    let mut random = fastrand::Rng::with_seed(4);
    let image: DynamicImage = two_colours(40, 30).into();
    let mut files: Vec<_> = FORMATS.iter().map(|format| written(&image, *format)).collect();
    files.extend(["progressive.jpg", "cmyk.tiff", "fax.tiff", "lossy.webp"].map(file));
    for whole in files {
        for _ in 0..150 {
            let mut changed = whole.clone();
            for _ in 0..random.usize(1..6) {
                let place = random.usize(..changed.len());
                changed[place] = random.u8(..);
            }
            if let Ok(picture) = decode(&changed) {
                assert!((picture.width() * picture.height()) as u64 <= PIXELS_MAX);
            }
        }
    }
}

/// The start of a PNG that says it has that many pixels.
fn png(width: u32, height: u32) -> Vec<u8> {
    let small = written(&RgbImage::new(1, 1).into(), ImageFormat::Png);
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend(&small[24..29]);
    let checksum = crc(&header).to_be_bytes();
    [&small[..12], &header, &checksum, &small[33..]].concat()
}

/// The checksum of PNG.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}

#[test]
fn size_is_looked_at_before_anything_is_decoded() {
    let bomb = png(100_000, 100_000);
    assert!(bomb.len() < 1024);
    assert!(matches!(decode(&bomb), Err(Failure::TooLarge(_))));
    assert!(matches!(decode(&png(65_536, 1)), Err(Failure::TooLarge(_))));
    assert!(matches!(decode(&png(6_400, 6_400)), Err(Failure::TooLarge(_))));
    assert!(matches!(decode(&png(0, 0)), Err(Failure::Damaged(_))));
    assert!(matches!(decode(&png(0, 9)), Err(Failure::Damaged(_))));
    // The same in the header of a BMP.
    let mut bmp = written(&RgbImage::new(1, 1).into(), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000_i32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000_i32.to_le_bytes());
    assert!(matches!(decode(&bmp), Err(Failure::TooLarge(_))));
    let mut gif = written(&RgbImage::new(1, 1).into(), ImageFormat::Gif);
    gif[6..10].fill(0xff);
    assert!(matches!(decode(&gif), Err(Failure::TooLarge(_))));
    const { assert!(FILE_BYTES_MAX < 512 * 1024 * 1024) };
}

#[test]
fn other_files_are_no_pictures() {
    for bytes in [b"".as_slice(), b"%PDF-1.7", b"\0\0\0\x18ftypheic", b"hello", &[0xff; 9]] {
        assert!(matches!(decode(bytes), Err(Failure::Unsupported(_))), "{bytes:?}");
    }
    // A format that the codecs know and that is not read here.
    assert!(matches!(decode(b"\0\0\x01\0\x01\0"), Err(Failure::Unsupported(_))));
}
