//! Records that another node gives, which was changed on the way or before.

use super::*;
use crate::mesh::tests::Fixture;

/// What a node recorded of its own beginning, and of which piece of work that is.
async fn bundle() -> (String, CorrelationId) {
    let node = Fixture::new().await;
    let correlation = format!("host-identity-{}", node.store.keys.host_id());
    let correlation: CorrelationId = correlation.parse().unwrap();
    (node.store.audit.export(&correlation).await.unwrap(), correlation)
}

#[tokio::test]
async fn a_record_that_was_changed_anywhere_is_named_as_wrong_and_nothing_of_it_is_shown() {
    let (bundle, correlation) = bundle().await;
    let untouched = checked(bundle.as_bytes(), &correlation);
    assert!(matches!(untouched, Heard::Events(events, _) if !events.is_empty()));
    // The first letter or digit of each text in it, which leaves it JSON.
    let texts: Vec<_> =
        bundle.match_indices("\": \"").map(|(place, colon)| place + colon.len()).collect();
    assert!(texts.len() > 20, "{bundle}");
    for place in texts {
        let mut bytes = bundle.clone().into_bytes();
        bytes[place] = if bytes[place] == b'a' { b'b' } else { b'a' };
        let heard = checked(&bytes, &correlation);
        assert!(matches!(heard, Heard::Wrong(_)), "{}: {heard:?}", &bundle[place - 20..place]);
    }
    let other = "another-work".parse().unwrap();
    assert!(matches!(checked(bundle.as_bytes(), &other), Heard::Wrong(_)));
    assert!(matches!(
        checked(&bundle.as_bytes()[..bundle.len() / 2], &correlation),
        Heard::Wrong(_)
    ));
}

#[tokio::test]
async fn who_gave_a_wrong_record_is_named() {
    let (bundle, correlation) = bundle().await;
    let bytes = bundle.replacen("host-identity", "host-identitx", 1).into_bytes();
    let heard = checked(&bytes, &correlation);
    let document = document(&correlation, vec![("nas".to_owned(), "key".to_owned(), heard)], &[]);
    assert_eq!(document["nodes"][0]["node"], "nas");
    assert_eq!(document["nodes"][0]["record"], "wrong");
    assert!(document["nodes"][0]["problem"].is_string(), "{document}");
    assert_eq!(document["events"], json!([]));
}
