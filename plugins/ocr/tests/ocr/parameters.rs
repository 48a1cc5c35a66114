//! What a caller may say, over an engine without models.

use meshhost_ocr::failure::Failure;
use meshhost_ocr::page::{self, Options, REGIONS_MAX};
use meshhost_ocr::shape::{Corners, Point};
use meshhost_ocr::view::Sizing;

use image::{GrayImage, ImageFormat, Luma};

use crate::render::Sheet;
use crate::stand_in::StandIn;

fn upright(x: f32, y: f32, width: f32, height: f32) -> Corners {
    let at = |x, y| Point { x, y };
    [at(x, y), at(x + width, y), at(x + width, y + height), at(x, y + height)]
}

/// A white picture with black bars: left, top, width and height.
fn bars(width: u32, height: u32, bars: &[(u32, u32, u32, u32)]) -> Vec<u8> {
    let mut sheet = Sheet::new(width, height, 255, 0);
    sheet.image = GrayImage::from_fn(width, height, |x, y| {
        let inside = bars.iter().any(|(left, top, wide, high)| {
            (*left..left + wide).contains(&x) && (*top..top + high).contains(&y)
        });
        Luma([if inside { 0 } else { 255 }])
    });
    sheet.file(ImageFormat::Png)
}

fn six() -> Vec<u8> {
    let places: Vec<_> = (0..6).map(|row| (100, 100 + row * 100, 300 + row * 20, 30)).collect();
    bars(800, 800, &places)
}

#[test]
fn lines_come_in_order_and_with_enough_confidence() {
    let page = page::recognize(&StandIn::default(), six(), &Options::default()).unwrap();
    assert_eq!((page.width, page.height), (800, 800));
    let found: Vec<_> = page.found.iter().map(|line| (line.text.as_str(), line.angle)).collect();
    // The confidence falls below a half with the fourth.
    assert_eq!(found, [("b", 0.0), ("b", 0.0), ("b", 0.0)]);
    assert!(page.found.is_sorted_by(|one, other| one.corners[0].y < other.corners[0].y));
    let all = Options { minimum_confidence: 0.0, ..Options::default() };
    let page = page::recognize(&StandIn::default(), six(), &all).unwrap();
    let angles: Vec<_> = page.found.iter().map(|line| line.angle).collect();
    assert_eq!(angles, [0.0, 0.0, 0.0, 180.0, 180.0, 180.0]);
    let unturned = Options { classify_angle: false, ..all };
    let page = page::recognize(&StandIn::default(), six(), &unturned).unwrap();
    assert!(page.found.iter().all(|line| line.angle == 0.0));
}

#[test]
fn the_classifier_is_asked_only_where_wanted() {
    let engine = StandIn::default();
    let options = Options { classify_angle: false, ..Options::default() };
    page::recognize(&engine, six(), &options).unwrap();
    let asked = engine.asked.borrow();
    let names: Vec<_> = asked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ppocr-det", "ppocr-rec"]);
    assert_eq!(asked[0].1, [1, 3, 800, 800]);
    assert_eq!(asked[1].1[..3], [6, 3, 48]);
}

#[test]
fn regions_can_be_read_in_pieces() {
    let engine = StandIn::default();
    let options = Options { minimum_confidence: 0.0, ..Options::default() };
    let whole = page::recognize(&engine, six(), &options).unwrap();
    let regions = page::find_regions(&engine, six(), &options).unwrap();
    assert_eq!((regions.width, regions.height, regions.found.len()), (800, 800, 6));
    let lines = page::recognize_regions(&engine, six(), &regions.found, &options).unwrap();
    let lines: Vec<_> = lines.into_iter().flatten().collect();
    assert_eq!(lines, whole.found);
    let one = page::recognize_regions(&engine, six(), &regions.found[3..4], &options).unwrap();
    assert_eq!(one[0].as_ref().unwrap().corners, regions.found[3]);
    let sure = Options { minimum_confidence: 0.95, ..Options::default() };
    assert_eq!(page::recognize_regions(&engine, six(), &regions.found[..1], &sure), Ok(vec![None]));
    assert_eq!(page::recognize_regions(&engine, six(), &[], &options), Ok(Vec::new()));
}

#[test]
fn parameters_out_of_range_are_refused() {
    let engine = StandIn::default();
    for minimum_confidence in [-0.1, 1.1, f32::NAN] {
        let options = Options { minimum_confidence, ..Options::default() };
        let refused = page::recognize(&engine, six(), &options);
        assert!(matches!(refused, Err(Failure::Invalid(_))), "{minimum_confidence}");
    }
    let many = vec![upright(0.0, 0.0, 9.0, 9.0); REGIONS_MAX + 1];
    let refused = page::recognize_regions(&engine, six(), &many, &Options::default());
    assert!(matches!(refused, Err(Failure::TooLarge(_))));
    let thin = [upright(0.0, 0.0, 9.0, 3.0)];
    let refused = page::recognize_regions(&engine, six(), &thin, &Options::default());
    assert!(matches!(refused, Err(Failure::Invalid(_))));
    assert!(engine.asked.borrow().is_empty());
    let other = Options { detector: "another".to_owned(), ..Options::default() };
    let refused = page::recognize(&engine, six(), &other);
    assert_eq!(refused, Err(Failure::NoModel("another".to_owned())));
}

#[test]
fn regions_outside_of_the_picture_are_read_at_its_edge() {
    let outside = [upright(5_000.0, 5_000.0, 90.0, 20.0), upright(790.0, 790.0, 50.0, 50.0)];
    let options = Options { minimum_confidence: 0.0, ..Options::default() };
    let lines = page::recognize_regions(&StandIn::default(), six(), &outside, &options).unwrap();
    assert_eq!(lines.len(), 2);
}

#[test]
fn what_the_models_answer_comes_through() {
    for failure in [
        Failure::Busy("the queue is full".to_owned()),
        Failure::Quota("used up".to_owned()),
        Failure::Unavailable("starting".to_owned()),
        Failure::Fault("crashed".to_owned()),
    ] {
        let engine = StandIn { failure: Some(failure.clone()), ..StandIn::default() };
        assert_eq!(page::recognize(&engine, six(), &Options::default()), Err(failure));
    }
}

#[test]
fn a_picture_in_tiles_has_each_line_once() {
    // A line across two edges, one within the overlap, and one far down.
    let places = [(300, 300, 4_400, 40), (1_850, 500, 90, 30), (100, 2_900, 600, 40)];
    let engine = StandIn::default();
    let options = Options { minimum_confidence: 0.0, ..Options::default() };
    let found = page::find_regions(&engine, bars(5_000, 3_000, &places), &options).unwrap().found;
    assert_eq!(engine.asked.borrow().len(), 6);
    assert_eq!(found.len(), 3, "{found:?}");
    for (region, (left, top, width, height)) in found.iter().zip(places) {
        let (left, top) = (left as f32, top as f32);
        let (right, bottom) = (left + width as f32, top + height as f32);
        let [a, _, c, _] = *region;
        // Regions are grown by the distance that the detector's own margin has.
        assert!(a.x <= left && a.x > left - 50.0 && a.y <= top && a.y > top - 50.0, "{region:?}");
        assert!(c.x >= right - 1.0 && c.x < right + 50.0, "{region:?}");
        assert!(c.y >= bottom - 1.0 && c.y < bottom + 50.0, "{region:?}");
    }
    let shrunk = Options { sizing: Sizing::Shrink, ..options };
    page::find_regions(&engine, bars(5_000, 3_000, &places), &shrunk).unwrap();
    assert_eq!(engine.asked.borrow()[6].1, [1, 3, 1216, 1984]);
}
