//! What lies behind pixels that shine through.

use crate::number::{byte, float};
use crate::picture::CHANNELS;

/// Pixels of red, green, blue and opacity, laid on white; on black when what is visible is light, as
/// light text for a dark page is.
pub(super) fn behind(pixels: &[u8]) -> Vec<u8> {
    let pixels = pixels.as_chunks::<4>().0;
    let (mut light, mut visible) = (0_u64, 0_u64);
    for [red, green, blue, opacity] in pixels {
        let sum = u64::from(*red) + u64::from(*green) + u64::from(*blue);
        light += sum * u64::from(*opacity);
        visible += u64::from(*opacity);
    }
    let is_light = light > visible * 3 * 127;
    let ground = if is_light { 0.0 } else { 255.0 };
    let mut laid = Vec::with_capacity(pixels.len() * CHANNELS);
    for [red, green, blue, opacity] in pixels {
        if *opacity == u8::MAX {
            laid.extend([*blue, *green, *red]);
            continue;
        }
        let share = float(usize::from(*opacity)) / 255.0;
        let mix = |value: u8| byte(float(usize::from(value)) * share + ground * (1.0 - share));
        laid.extend([mix(*blue), mix(*green), mix(*red)]);
    }
    laid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dark_text_lies_on_white_and_light_text_on_black() {
        assert_eq!(behind(&[10, 20, 30, 255, 0, 0, 0, 0]), [30, 20, 10, 255, 255, 255]);
        assert_eq!(behind(&[250, 240, 230, 255, 0, 0, 0, 0]), [230, 240, 250, 0, 0, 0]);
        assert_eq!(behind(&[0, 0, 0, 51]), [204, 204, 204]);
    }
}
