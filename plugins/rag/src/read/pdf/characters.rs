//! The characters of a page as text: lines and spaces are told by where characters stand.

use hayro_interpret::font::{Glyph, GlyphRun, PositionedGlyph};
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::kurbo::{Affine, BezPath, Point, Vec2};
use hayro_interpret::{
    BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, SoftMask,
};

/// Bytes of text on one page.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Fonts are drawn on a square of so many units.
const EM: f64 = 1_000.0;
/// In sizes of the font: a gap that is a space.
const SPACE: f64 = 0.2;
/// In sizes of the font: a step across the line that is another line, and not a raised number.
const LINE: f64 = 0.5;
/// In sizes of the font: a step across the line that is another paragraph.
const PARAGRAPH: f64 = 1.75;

/// Listens to what a page draws.
#[derive(Debug, Default)]
pub(super) struct Characters {
    text: String,
    last: Option<Last>,
    /// Where the last run of filled characters began, and how many they were.
    filled: Option<(Point, usize)>,
}

/// The character that was drawn last.
#[derive(Debug, Clone, Copy)]
struct Last {
    start: Point,
    end: Point,
    direction: Vec2,
    size: f64,
}

impl Characters {
    /// The text: paragraphs parted by blank lines.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn glyph(&mut self, glyph: &PositionedGlyph<'_>, transform: Affine) {
        let unicode = match glyph.as_unicode() {
            Some(BfString::Char(character)) => character.to_string(),
            Some(BfString::String(text)) => text,
            None => return,
        };
        if self.text.len() + unicode.len() > PAGE_BYTES_MAX {
            return;
        }
        let advance = match &**glyph {
            Glyph::Outline(outline) => outline.advance_width(),
            Glyph::Type3(drawn) => drawn.advance_width(),
        };
        let start = transform * Point::ZERO;
        let end = transform * Point::new(f64::from(advance.unwrap_or(500.0)), 0.0);
        let along = (transform * Point::new(EM, 0.0)) - start;
        let size = ((transform * Point::new(0.0, EM)) - start).hypot();
        let direction = along / along.hypot();
        if !(size > 0.0 && size.is_finite() && direction.is_finite() && start.is_finite()) {
            return;
        }
        let drawn = Last { start, end, direction, size };
        if self.last.is_some_and(|last| is_same(&last, &drawn)) && self.text.ends_with(&unicode) {
            return;
        }
        if let Some(last) = self.last {
            self.part(&last, &drawn, &unicode);
        }
        for character in unicode.chars() {
            push(&mut self.text, character);
        }
        self.last = Some(drawn);
    }

    /// What stands between two characters.
    fn part(&mut self, last: &Last, next: &Last, text: &str) {
        let step = next.start - last.end;
        let size = last.size.max(next.size);
        let along = step.dot(next.direction);
        let across = step.cross(next.direction).abs();
        let turned = last.direction.dot(next.direction) < 0.9;
        let resized = last.size.min(next.size) < 0.8 * size;
        if turned || across > PARAGRAPH * size || (across > LINE * size && resized) {
            trim(&mut self.text);
            self.text.push_str("\n\n");
        } else if across > LINE * size || along < -size {
            self.newline(text);
        } else if along > SPACE * size
            && !self.text.ends_with(char::is_whitespace)
            && !text.starts_with(char::is_whitespace)
        {
            self.text.push(' ');
        }
    }

    /// Another line; a word that was parted at its end becomes one again.
    fn newline(&mut self, next: &str) {
        trim(&mut self.text);
        let parted =
            self.text.strip_suffix('-').is_some_and(|word| word.ends_with(char::is_alphabetic))
                && next.starts_with(char::is_lowercase);
        if parted {
            self.text.pop();
        } else {
            self.text.push('\n');
        }
    }
}

/// Bold is drawn twice in nearly the same place by some.
fn is_same(last: &Last, next: &Last) -> bool {
    (next.start - last.start).hypot() < 0.1 * next.size
}

fn trim(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
}

fn push(text: &mut String, character: char) {
    match character {
        '\u{FB00}' => text.push_str("ff"),
        '\u{FB01}' => text.push_str("fi"),
        '\u{FB02}' => text.push_str("fl"),
        '\u{FB03}' => text.push_str("ffi"),
        '\u{FB04}' => text.push_str("ffl"),
        '\u{FB05}' | '\u{FB06}' => text.push_str("st"),
        '\u{AD}' => text.push('-'),
        _ if character.is_whitespace() => text.push(' '),
        _ if character.is_control() => {}
        _ => text.push(character),
    }
}

impl<'a> Device<'a> for Characters {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        let begin =
            run.glyphs().first().map(|glyph| props.transform * glyph.transform() * Point::ZERO);
        let begin = begin.map(|begin| (begin, run.glyphs().len()));
        // Letters with an outline are drawn twice: filled and stroked.
        if matches!(mode, DrawMode::Stroke(_)) && self.filled.take() == begin {
            return;
        }
        for glyph in run.glyphs() {
            self.glyph(glyph, props.transform * glyph.transform());
        }
        self.filled = begin;
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}

    fn push_clip_path(&mut self, _: &ClipPath) {}

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}
