//! The accent colour: in comes the brand's, out come shades of it that can be read on light and on dark pages.
//!
//! Contrast is that of WCAG 2.2: 4.5 for text. The brand's own colour fills buttons, under whichever of black and
//! white reads better on it (one of them always has 4.5); links take a shade moved towards black or white as far as needed.

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Color([u8; 3]);

/// What the text of built-in pages lies on at worst: their panels, light and dark. The pages themselves are further from it.
pub(super) const LIGHT_PAGE: Color = Color([0xf1, 0xf1, 0xee]);
pub(super) const DARK_PAGE: Color = Color([0x1f, 0x22, 0x26]);

const BLACK: Color = Color([0, 0, 0]);
const WHITE: Color = Color([0xff, 0xff, 0xff]);
const READABLE: f64 = 4.5;
const STEPS: u8 = 64;

impl Color {
    /// The accent of a page without a brand: a quiet blue.
    pub(super) const DEFAULT: Self = Self([0x2b, 0x5c, 0x9e]);

    /// Reads `#rgb` or `#rrggbb`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        let digit = |at: usize| char::from(*digits.as_bytes().get(at)?).to_digit(16);
        let byte = |high: usize, low: usize| u8::try_from(digit(high)? * 16 + digit(low)?).ok();
        match digits.len() {
            3 => Some(Self([byte(0, 0)?, byte(1, 1)?, byte(2, 2)?])),
            6 => Some(Self([byte(0, 1)?, byte(2, 3)?, byte(4, 5)?])),
            _ => None,
        }
    }

    /// `#rrggbb`
    pub(super) fn hex(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Black or white, whichever reads better on this colour.
    pub(super) fn ink(self) -> Self {
        if self.contrast(WHITE) >= READABLE || self.contrast(WHITE) >= self.contrast(BLACK) {
            WHITE
        } else {
            BLACK
        }
    }

    /// The nearest shade that can be read as text on `page`.
    pub(super) fn readable_on(self, page: Self) -> Self {
        let goal = page.ink();
        (0..=STEPS)
            .map(|step| self.mixed(goal, step))
            .find(|shade| shade.contrast(page) >= READABLE)
            .unwrap_or(goal)
    }

    /// The contrast ratio of WCAG, from 1 to 21.
    pub(super) fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    fn mixed(self, goal: Self, step: u8) -> Self {
        let mix = |from: u8, to: u8| {
            let sum = u16::from(from) * u16::from(STEPS - step) + u16::from(to) * u16::from(step);
            u8::try_from(sum / u16::from(STEPS)).unwrap_or(to)
        };
        let ([r, g, b], [to_r, to_g, to_b]) = (self.0, goal.0);
        Self([mix(r, to_r), mix(g, to_g), mix(b, to_b)])
    }

    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

fn linear(channel: u8) -> f64 {
    let value = f64::from(channel) / 255.0;
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read() {
        let cases = [
            ("#0b5fff", Some("#0b5fff")),
            ("#0B5FFF", Some("#0b5fff")),
            ("#fa0", Some("#ffaa00")),
            ("0b5fff", None),
            ("#0b5ff", None),
            ("#0b5fzz", None),
            ("#ü5fff", None),
            ("red", None),
            ("#fff;}body{", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Color::parse(text).map(Color::hex).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn every_brand_colour_stays_readable() {
        // Every colour of three hexadecimal digits.
        for number in 0..4096_u16 {
            let color = Color::parse(&format!("#{number:03x}")).unwrap();
            assert!(color.contrast(color.ink()) >= 4.5, "{color:?}");
            for (worst, usual) in [(LIGHT_PAGE, "#fbfbfa"), (DARK_PAGE, "#15171a")] {
                let link = color.readable_on(worst);
                for page in [worst, Color::parse(usual).unwrap()] {
                    assert!(link.contrast(page) >= 4.5, "{color:?} {link:?} {page:?}");
                }
            }
        }
    }

    #[test]
    fn the_texts_of_every_theme_stand_out() {
        let style = include_str!("../../templates/html/style.html.tera");
        let named = |scheme: &str, name: &str| {
            let (_, rest) = scheme.split_once(&format!("--{name}:")).unwrap();
            Color::parse(rest.get(..7).unwrap()).unwrap()
        };
        let (light, rest) = style.split_once("@media").unwrap();
        let (dark, _) = rest.split_once("*{").unwrap();
        for (scheme, worst) in [(light, LIGHT_PAGE), (dark, DARK_PAGE)] {
            assert_eq!(named(scheme, "panel"), worst);
            for surface in ["page", "panel"] {
                let surface = named(scheme, surface);
                assert!(named(scheme, "text").contrast(surface) >= 7.0);
                assert!(named(scheme, "soft").contrast(surface) >= 4.5);
            }
        }
    }

    #[test]
    fn a_colour_that_reads_well_is_left_alone() {
        let blue = Color::parse("#0b5fff").unwrap();
        assert_eq!(blue.readable_on(LIGHT_PAGE), blue);
        assert_eq!(blue.ink().hex(), "#ffffff");
        assert_eq!(Color::parse("#ffd400").unwrap().ink().hex(), "#000000");
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 0.001);
    }
}
