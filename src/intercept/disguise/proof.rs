//! Signatures held against their own examples.

use std::sync::Arc;

use super::detector::Detector;
use super::scan::{Scan, Subject};
use super::signature::Signature;
use super::text::Declared;

/// What is wrong with a signature that a detector has, by its example and its near miss.
pub(super) fn refute(detector: &Arc<Detector>, signature: &Signature) -> Option<&'static str> {
    if !finds(detector, signature, &signature.example) {
        return Some("its example is not found by it");
    }
    if finds(detector, signature, &signature.near_miss) {
        return Some("its near miss is found by it");
    }
    None
}

fn finds(detector: &Arc<Detector>, signature: &Signature, text: &str) -> bool {
    let subject = Subject {
        declared: Declared::Html,
        failed: false,
        stored: false,
        wide: false,
    };
    let mut scan = Scan::new(Arc::clone(detector), subject);
    scan.feed(text.as_bytes(), true);
    scan.signs()
        .iter()
        .any(|sign| sign.signature == signature.name)
}
