//! The reference as a QR code: in comes a text, out come the side in modules and the path of the dark ones.

use std::fmt::Write;

use qrcode::{Color, EcLevel, QrCode};

/// Around the code, as ISO/IEC 18004 asks for.
const QUIET: usize = 4;
/// A longer text would make a code too fine to be read from a screen.
const LONGEST: usize = 200;

/// A code, to be drawn as an SVG of `side` units.
pub(super) struct Qr {
    pub(super) side: usize,
    pub(super) path: String,
}

impl Qr {
    /// The code for the first of these texts that is short enough.
    pub(super) fn of(texts: [&str; 2]) -> Option<Self> {
        let text = texts
            .into_iter()
            .find(|text| (1..=LONGEST).contains(&text.len()))?;
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let width = code.width();
        let mut path = String::with_capacity(4096);
        for (row, colors) in code.to_colors().chunks(width).enumerate() {
            draw_row(row + QUIET, colors, &mut path)?;
        }
        Some(Self {
            side: width + 2 * QUIET,
            path,
        })
    }
}

/// Each run of dark modules as one rectangle; `None` never comes about, as writing to memory does not fail.
fn draw_row(row: usize, colors: &[Color], path: &mut String) -> Option<()> {
    let mut column = QUIET;
    for run in colors.chunk_by(|one, other| one == other) {
        if run.first() == Some(&Color::Dark) {
            let length = run.len();
            write!(path, "M{column} {row}h{length}v1h-{length}z").ok()?;
        }
        column += run.len();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_fits_its_square_and_has_its_three_marks() {
        let qr = Qr::of(["7Q3K-0ZD8-MX4T-9A2C", ""]).unwrap();
        assert_eq!(qr.side, 21 + 8);
        for mark in ["M4 4h7v1h-7z", "M18 4h7v1h-7z", "M4 18h7v1h-7z"] {
            assert!(qr.path.contains(mark), "{mark}: {}", qr.path);
        }
    }

    #[test]
    fn what_is_too_long_gives_way_to_what_is_short() {
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(Qr::of([&long, "A"]).unwrap().side, 21 + 8);
        assert!(Qr::of([&long, &long]).is_none());
    }
}
