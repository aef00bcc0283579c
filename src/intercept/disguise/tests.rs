//! The signatures against their own examples and near misses, and against recorded answers.

use std::sync::Arc;

use super::detector::Detector;
use super::proof::refute;
use super::scan::{Scan, Subject};
use super::signature::SignatureFile;
use super::text::Declared;

const PAGE: Subject = Subject {
    declared: Declared::Html,
    failed: false,
    stored: false,
    wide: false,
};

fn detector() -> Arc<Detector> {
    Arc::new(Detector::new(None))
}

fn scan(detector: &Arc<Detector>, text: &[u8], subject: Subject, size: usize) -> Scan {
    let mut scan = Scan::new(Arc::clone(detector), subject);
    for piece in text.chunks(size) {
        scan.feed(piece, false);
    }
    scan.feed(b"", true);
    scan
}

#[test]
fn every_signature_finds_its_example_and_not_its_near_miss() {
    let detector = detector();
    let mut wrong = Vec::new();
    for signature in &SignatureFile::built_in().signatures {
        // Of two that belong together each has the other in its near miss, or not enough weight.
        let alone = signature.weight >= 100;
        if let Some(why) = refute(&detector, signature).filter(|_| alone) {
            wrong.push(format!("{}: {why}", signature.name));
        }
        let found = scan(&detector, signature.example.as_bytes(), PAGE, 7);
        if !found.is_found() {
            wrong.push(format!("{}: its example is no verdict", signature.name));
        }
        let missed = scan(&detector, signature.near_miss.as_bytes(), PAGE, 7);
        if missed.is_found() {
            wrong.push(format!(
                "{}: its near miss is one: {:?}",
                signature.name,
                missed.signs()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
