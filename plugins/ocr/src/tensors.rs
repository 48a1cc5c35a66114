//! Pictures as the models take them: one plane for each channel, values from -1 to 1.

use crate::engine::Tensor;
use crate::number::float;
use crate::picture::{CHANNELS, Picture};

/// A tensor of pictures of the same height. Where a picture is narrower than `width`, the rest is 0,
/// which is grey.
pub(crate) fn of(pictures: &[Picture], width: usize, height: usize) -> Tensor {
    let values = values();
    let plane = width * height;
    let mut elements = vec![0.0; pictures.len() * CHANNELS * plane];
    for (picture, planes) in pictures.iter().zip(elements.chunks_exact_mut(CHANNELS * plane)) {
        let (blue, rest) = planes.split_at_mut(plane);
        let (green, red) = rest.split_at_mut(plane);
        let targets =
            blue.chunks_mut(width).zip(green.chunks_mut(width)).zip(red.chunks_mut(width));
        for (row, ((blue, green), red)) in picture.rows().zip(targets) {
            let pixels = row.as_chunks::<CHANNELS>().0;
            for (([b, g, r], blue), (green, red)) in
                pixels.iter().zip(blue).zip(green.iter_mut().zip(red))
            {
                *blue = of_byte(&values, *b);
                *green = of_byte(&values, *g);
                *red = of_byte(&values, *r);
            }
        }
    }
    Tensor { shape: vec![pictures.len(), CHANNELS, height, width], elements }
}

/// The value of each byte.
fn values() -> [f32; 256] {
    std::array::from_fn(|byte| (float(byte) / 255.0 - 0.5) / 0.5)
}

fn of_byte(values: &[f32; 256], byte: u8) -> f32 {
    values.get(usize::from(byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_planes_and_the_rest_is_grey() {
        let picture = Picture::new(1, 2, vec![0, 255, 51, 255, 0, 204]).unwrap();
        let tensor = of(&[picture.clone(), picture], 2, 2);
        assert_eq!(tensor.shape, [2, 3, 2, 2]);
        let expected = [-1.0, 0.0, 1.0, 0.0, 1.0, 0.0, -1.0, 0.0, -0.6, 0.0, 0.6, 0.0];
        for (value, expected) in tensor.elements.iter().zip(expected.iter().chain(&expected)) {
            assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        }
        assert_eq!(tensor.elements.len(), 24);
    }
}
