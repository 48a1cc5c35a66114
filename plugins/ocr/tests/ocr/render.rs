//! Pages of text, made here, so that what stands on them is known.

use std::fs;
use std::io::Cursor;

use ab_glyph::{Font, FontVec, PxScale, ScaleFont};
use fastrand::Rng;
use image::{GrayImage, ImageFormat, Luma};

/// Where Debian's package `fonts-dejavu` puts its fonts.
const FONTS: &str = "/usr/share/fonts/truetype/dejavu";

/// A font of the machine; nothing, with the reason printed, when it is not there.
pub(crate) fn font(name: &str) -> Option<FontVec> {
    let path = format!("{FONTS}/{name}.ttf");
    let font = fs::read(&path).ok().and_then(|bytes| FontVec::try_from_vec(bytes).ok());
    if font.is_none() {
        eprintln!("skipped: there is no font {path}");
    }
    font
}

/// A page, grey on grey.
#[derive(Clone)]
pub(crate) struct Sheet {
    pub(crate) image: GrayImage,
    ink: u8,
}

impl Sheet {
    pub(crate) fn new(width: u32, height: u32, paper: u8, ink: u8) -> Self {
        Self { image: GrayImage::from_pixel(width, height, Luma([paper])), ink }
    }

    /// Writes a line whose letters stand on `y`, and gives its width.
    pub(crate) fn write(&mut self, font: &FontVec, text: &str, x: f32, y: f32, pixels: f32) -> f32 {
        let scaled = font.as_scaled(PxScale::from(pixels));
        let mut pen = x;
        let mut last = None;
        for character in text.chars() {
            let id = scaled.glyph_id(character);
            pen += last.map_or(0.0, |last| scaled.kern(last, id));
            let glyph = id.with_scale_and_position(pixels, ab_glyph::point(pen, y));
            if let Some(outline) = font.outline_glyph(glyph) {
                self.blend(&outline);
            }
            pen += scaled.h_advance(id);
            last = Some(id);
        }
        pen - x
    }

    fn blend(&mut self, outline: &ab_glyph::OutlinedGlyph) {
        let bounds = outline.px_bounds();
        let ink = f32::from(self.ink);
        outline.draw(|x, y, coverage| {
            let (x, y) = (bounds.min.x as i64 + i64::from(x), bounds.min.y as i64 + i64::from(y));
            let place = u32::try_from(x).ok().zip(u32::try_from(y).ok());
            if let Some(pixel) = place.and_then(|(x, y)| self.image.get_pixel_mut_checked(x, y)) {
                let coverage = coverage.clamp(0.0, 1.0);
                pixel.0 = pixel.0.map(|paper| {
                    (f32::from(paper) * (1.0 - coverage) + ink * coverage).round() as u8
                });
            }
        });
    }

    /// Each pixel lighter or darker by up to `most`.
    pub(crate) fn with_noise(mut self, most: u8, random: &mut Rng) -> Self {
        let most = i16::from(most);
        for pixel in self.image.pixels_mut() {
            let change = random.i16(-most..=most);
            pixel.0 = pixel.0.map(|value| (i16::from(value) + change).clamp(0, 255) as u8);
        }
        self
    }

    /// Turned clockwise around the middle, the paper going on.
    pub(crate) fn turned(&self, degrees: f32) -> Self {
        let paper = f32::from(self.image.get_pixel(0, 0).0[0]);
        let (width, height) = self.image.dimensions();
        let (sine, cosine) = (-degrees.to_radians()).sin_cos();
        let (middle_x, middle_y) = (width as f32 / 2.0, height as f32 / 2.0);
        let value = |x: i64, y: i64| {
            let place = u32::try_from(x).ok().zip(u32::try_from(y).ok());
            let pixel = place.and_then(|(x, y)| self.image.get_pixel_checked(x, y));
            pixel.map_or(paper, |pixel| f32::from(pixel.0[0]))
        };
        let image = GrayImage::from_fn(width, height, |x, y| {
            let (x, y) = (x as f32 - middle_x, y as f32 - middle_y);
            let (x, y) = (x * cosine - y * sine + middle_x, x * sine + y * cosine + middle_y);
            let (left, top) = (x.floor(), y.floor());
            let (right, down) = (x - left, y - top);
            let (left, top) = (left as i64, top as i64);
            let row = |y| value(left, y) * (1.0 - right) + value(left + 1, y) * right;
            Luma([(row(top) * (1.0 - down) + row(top + 1) * down).round() as u8])
        });
        Self { image, ink: self.ink }
    }

    /// The page as a file of a format, in colour where the format wants it.
    pub(crate) fn file(&self, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let colour = image::DynamicImage::ImageLuma8(self.image.clone()).into_rgb8();
        colour.write_to(&mut bytes, format).expect("a page is written");
        bytes.into_inner()
    }
}

/// Words that lines are made of.
const WORDS: &str = "account address afternoon agreement amount answer arrival autumn balance \
    because before between bridge building careful centre certain chapter children city close \
    colour common company condition corner country course delivery different distance document \
    early evening example family figure forest garden general glass happen harbour heavy history \
    house however important increase invoice island journey kitchen language letter library light \
    listen little machine market measure meeting message middle morning mountain number office \
    order other paper people picture place point possible present price problem question quiet \
    railway reason receipt record region result river school season second sentence service seven \
    simple station street summer support surface system table thousand through together total \
    travel under value village voice water weather weight window winter without wonder yellow";

/// A line of about that many characters: words, now and then a number, a date or an amount.
pub(crate) fn line(random: &mut Rng, characters: usize) -> String {
    let words: Vec<_> = WORDS.split_whitespace().collect();
    let mut line = String::new();
    while line.len() < characters {
        if !line.is_empty() {
            line.push(' ');
        }
        let word = random.choice(&words).copied().unwrap_or_default();
        match random.u8(0..12) {
            0 => line.push_str(&random.u32(1..100_000).to_string()),
            1 => line.push_str(&format!("{}.{:02}", random.u32(1..2000), random.u32(0..100))),
            2 => line.push_str(&format!("2026-{:02}-{:02}", random.u8(1..13), random.u8(1..29))),
            3 => line.push_str(&format!("{word},")),
            4 => line.push_str(&(word[..1].to_uppercase() + &word[1..])),
            _ => line.push_str(word),
        }
    }
    line
}

/// A page with what stands on it.
pub(crate) struct Page {
    pub(crate) sheet: Sheet,
    pub(crate) lines: Vec<String>,
}

/// How a page looks.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) font: &'static str,
    /// Height of letters in pixels.
    pub(crate) size: f32,
    pub(crate) columns: u32,
    pub(crate) paper: u8,
    pub(crate) ink: u8,
    pub(crate) noise: u8,
    pub(crate) degrees: f32,
}

/// An upright black page of letters of 24 pixels.
pub(crate) const PLAIN: Look = Look {
    width: 1240,
    height: 1754,
    font: "DejaVuSans",
    size: 24.0,
    columns: 1,
    paper: 255,
    ink: 0,
    noise: 0,
    degrees: 0.0,
};

/// A page of random lines; nothing when the font is not there.
pub(crate) fn page(look: Look, random: &mut Rng) -> Option<Page> {
    let font = font(look.font)?;
    let mut sheet = Sheet::new(look.width, look.height, look.paper, look.ink);
    let margin = (look.size * 2.0).max(20.0);
    let column = (look.width as f32 - margin) / look.columns as f32;
    let mut lines = Vec::new();
    let mut y = margin + look.size;
    while y < look.height as f32 - margin {
        for number in 0..look.columns {
            let room = column - margin;
            let mut text = line(random, (room / look.size * 1.4) as usize);
            // As much as fits.
            let scaled = font.as_scaled(PxScale::from(look.size));
            let long = |text: &str| -> f32 {
                text.chars().map(|c| scaled.h_advance(scaled.glyph_id(c))).sum()
            };
            while long(&text) > room {
                text.pop();
            }
            let text = text.trim_end().to_owned();
            sheet.write(&font, &text, margin + column * number as f32, y, look.size);
            lines.push(text);
        }
        y += look.size * 1.6;
    }
    if look.degrees != 0.0 {
        sheet = sheet.turned(look.degrees);
    }
    if look.noise > 0 {
        sheet = sheet.with_noise(look.noise, random);
    }
    Some(Page { sheet, lines })
}
