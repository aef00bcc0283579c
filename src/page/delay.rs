//! How a time to wait is said: in come seconds, out come words in the plural that a language asks for.

use std::collections::BTreeMap;

use icu_locale_core::Locale;
use icu_plurals::{PluralCategory, PluralRules, PluralRulesOptions};
use serde::Deserialize;

const NUMBER: &str = "{n}";
/// Up to here a time is said in seconds.
const SECONDS: u32 = 90;
/// Up to here it is said in minutes, and beyond in hours, both rounded up.
const MINUTES: u32 = 90 * 60;

/// The words of a language.
pub(super) struct Delay {
    locale: Option<Locale>,
    units: Units,
}

/// The section `[delay]` of a catalogue.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Units {
    seconds: Forms,
    minutes: Forms,
    hours: Forms,
}

/// A unit with its number, by plural category.
type Forms = BTreeMap<Category, String>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Category {
    Zero,
    One,
    Two,
    Few,
    Many,
    Other,
}

impl Delay {
    /// Words for a language; the name of a form that is missing otherwise.
    pub(super) fn new(language: &str, units: Units) -> Result<Self, &'static str> {
        for (name, forms) in [
            ("delay.seconds.other", &units.seconds),
            ("delay.minutes.other", &units.minutes),
            ("delay.hours.other", &units.hours),
        ] {
            if !forms.contains_key(&Category::Other) {
                return Err(name);
            }
        }
        Ok(Self {
            locale: language.parse().ok(),
            units,
        })
    }

    /// `2 minutes`
    pub(super) fn said(&self, seconds: u32) -> String {
        let (number, forms) = if seconds <= SECONDS {
            (seconds, &self.units.seconds)
        } else if seconds <= MINUTES {
            (seconds.div_ceil(60), &self.units.minutes)
        } else {
            (seconds.div_ceil(3600), &self.units.hours)
        };
        let form = forms.get(&self.category(number));
        let form = form.or_else(|| forms.get(&Category::Other));
        form.map_or_else(String::new, |form| {
            form.replace(NUMBER, &number.to_string())
        })
    }

    fn category(&self, number: u32) -> Category {
        // The rules are part of the binary, so that finding them costs little; kept they could not be shared by workers.
        let locale = self.locale.as_ref();
        let rules = locale.and_then(|locale| {
            PluralRules::try_new(locale.into(), PluralRulesOptions::default()).ok()
        });
        match rules.map(|rules| rules.category_for(number)) {
            Some(PluralCategory::Zero) => Category::Zero,
            Some(PluralCategory::One) => Category::One,
            Some(PluralCategory::Two) => Category::Two,
            Some(PluralCategory::Few) => Category::Few,
            Some(PluralCategory::Many) => Category::Many,
            Some(PluralCategory::Other) | None => Category::Other,
        }
    }

    /// Whether there is a form of its own for each number up to a thousand.
    #[cfg(test)]
    pub(super) fn has_every_form(&self) -> bool {
        [&self.units.seconds, &self.units.minutes, &self.units.hours]
            .iter()
            .all(|forms| (0..1000).all(|number| forms.contains_key(&self.category(number))))
    }
}
