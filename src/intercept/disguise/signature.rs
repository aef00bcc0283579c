//! Signatures as data: what a file of them says, checked and ready to be looked for.
//!
//! Patterns are compiled when they are first needed, those of a user's file at once. The expressions have no
//! backtracking; what one may take in memory has a cap.

use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::detector::Detector;
use super::proof::refute;

/// What a compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 4 << 20;
/// Signatures that a user's file may hold.
const MOST: usize = 500;
/// The longest and the shortest cue, in bytes.
const CUE: std::ops::RangeInclusive<usize> = 4..=MOST_CUE;
/// The longest cue, in bytes.
pub(super) const MOST_CUE: usize = 64;

/// The signatures that are built in.
const BUILT_IN: &str = include_str!("signatures.toml");

/// A file of signatures.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureFile {
    /// What every passing answer is searched for.
    #[serde(default)]
    pub(super) gates: Vec<String>,
    /// Gates that count only within a cue.
    #[serde(default)]
    pub(super) hubs: Vec<String>,
    /// What makes a hub count.
    #[serde(default)]
    pub(super) hub_cues: Vec<String>,
    /// What passing JSON is searched for.
    #[serde(default)]
    pub(super) json_gates: Vec<String>,
    /// The signatures.
    #[serde(default, rename = "signature")]
    pub(super) signatures: Vec<Signature>,
}

/// A shape that a failure has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    pub(super) name: String,
    pub(super) framework: String,
    pub(super) weight: u32,
    pub(super) place: Place,
    #[serde(default)]
    pub(super) cues: Vec<String>,
    #[serde(default)]
    pub(super) end_cues: Vec<String>,
    pub(super) before: Option<Before>,
    pub(super) pattern: After,
    pub(super) example: String,
    pub(super) near_miss: String,
}

/// Where a signature counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    /// In the page's own markup.
    Markup,
    /// Where the answer is about nothing else.
    Alone,
    /// In the page's own markup, with nothing before it on the page.
    First,
    /// Where the answer begins.
    Start,
    /// Alone, or where the answer stops.
    End,
    /// Alone, or where a page that was begun as one stops.
    Stop,
    /// Beside a JSON document, or where none of its strings can go on.
    Beside,
}

/// An expression for what begins at a place.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct After(Pattern);

/// An expression for what ends at a place.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct Before(Pattern);

/// An expression, compiled when it is first asked.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

/// Why a file of signatures is refused.
#[derive(Debug)]
pub enum SignatureError {
    /// It is not TOML, or has keys that are none.
    Form(toml::de::Error),
    /// The signature of this name has a pattern that is no expression, or that takes too much memory.
    Pattern(String, regex::Error),
    /// There is something else wrong with the signature of this name.
    Wrong(String, &'static str),
}

impl SignatureFile {
    /// The signatures that are built in.
    ///
    /// # Panics
    ///
    /// Never: the tests read them.
    #[must_use]
    pub(super) fn built_in() -> Self {
        #[expect(clippy::expect_used, reason = "the tests read what is compiled in")]
        toml::from_str(BUILT_IN).expect("the built-in signatures are well formed")
    }

    /// A user's signatures, checked.
    ///
    /// # Errors
    ///
    /// When it is no file of signatures, a pattern could take more than its share of time or memory, or a signature does
    /// not hold against its own example and near miss.
    pub fn read(text: &str) -> Result<Self, SignatureError> {
        let file: Self = toml::from_str(text).map_err(SignatureError::Form)?;
        file.check()?;
        let detector = Arc::new(Detector::new(Some(file.clone())));
        for signature in &file.signatures {
            if let Some(why) = refute(&detector, signature) {
                return Err(SignatureError::Wrong(signature.name.clone(), why));
            }
        }
        Ok(file)
    }

    fn check(&self) -> Result<(), SignatureError> {
        let wrong = |name: &str, why| Err(SignatureError::Wrong(name.to_owned(), why));
        if self.signatures.len() > MOST {
            return wrong("", "a file holds at most 500 signatures");
        }
        for signature in &self.signatures {
            let name = &signature.name;
            let mut cues = signature.cues.iter().chain(&signature.end_cues);
            if cues.clone().next().is_none() {
                return wrong(name, "it has no cues, without which nothing leads to it");
            }
            if cues.any(|cue| !CUE.contains(&cue.len())) {
                return wrong(name, "a cue has 4 to 64 bytes");
            }
            if !(1..=100).contains(&signature.weight) {
                return wrong(name, "a weight is 1 to 100");
            }
            signature
                .compile()
                .map_err(|error| SignatureError::Pattern(name.clone(), error))?;
        }
        Ok(())
    }
}

impl Signature {
    fn compile(&self) -> Result<(), regex::Error> {
        if let Some(before) = &self.before {
            before.0.compile(&before.0.anchored_at_end())?;
        }
        self.pattern.0.compile(&self.pattern.0.anchored())?;
        Ok(())
    }
}

impl After {
    /// How much of `text` it is the beginning of.
    pub(super) fn length(&self, text: &[u8]) -> Option<usize> {
        let regex = self.0.get(Pattern::anchored)?;
        Some(regex.find(text)?.end())
    }
}

impl Before {
    /// Where in `text` that begins which it is the end of.
    pub(super) fn begin(&self, text: &[u8]) -> Option<usize> {
        let regex = self.0.get(Pattern::anchored_at_end)?;
        Some(regex.find(text)?.start())
    }
}

impl Pattern {
    fn get(&self, form: fn(&Self) -> String) -> Option<&Regex> {
        // That it compiles was seen by the check of the file, or by the tests.
        let compiled = self.compiled.get_or_init(|| compile(&form(self)).ok());
        compiled.as_ref()
    }

    fn compile(&self, form: &str) -> Result<(), regex::Error> {
        let compiled = compile(form)?;
        self.compiled.get_or_init(|| Some(compiled));
        Ok(())
    }

    fn anchored(&self) -> String {
        format!(r"(?s-u)\A(?:{})", self.text)
    }

    fn anchored_at_end(&self) -> String {
        format!(r"(?s-u)(?:{})\z", self.text)
    }
}

fn compile(form: &str) -> Result<Regex, regex::Error> {
    let form = form
        .replace(
            "{quote}",
            r#"(?:["'`]|\\"|&(?:quot|apos|#0?3[49]|#x2[27]|[lr]squo|[lr]dquo);|\xe2\x80[\x98-\x9d])"#,
        )
        .replace("{space}", r"(?:[ \t]|&nbsp;|&#0?9;)*")
        .replace("{line}", r"(?:\r?\n|<br ?/?>\r?\n?)")
        .replace("{path}", r#"(?:/[^\s<>"']+|[A-Za-z]:[\\/][^<>"'\n]+?)"#);
    RegexBuilder::new(&form)
        .size_limit(PATTERN_SIZE)
        .dfa_size_limit(PATTERN_SIZE)
        .build()
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }
}

impl From<String> for After {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<String> for Before {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(error) => write!(f, "{}", error.message()),
            Self::Pattern(name, error) => write!(f, "signature `{name}`: {error}"),
            Self::Wrong(name, why) if name.is_empty() => f.write_str(why),
            Self::Wrong(name, why) => write!(f, "signature `{name}`: {why}"),
        }
    }
}

impl std::error::Error for SignatureError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_checked() {
        let file = SignatureFile::built_in();
        file.check().unwrap();
        let mut names: Vec<_> = file.signatures.iter().map(|s| &s.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), file.signatures.len(), "a name stands twice");
        assert!(names.len() > 60);
        // More of them would cost every passing answer more.
        assert!(file.gates.len() + file.hubs.len() <= 16 && file.json_gates.len() <= 24);
    }

    #[test]
    fn a_pattern_that_could_explode_is_refused() {
        let signature = |pattern: &str, cue: &str| {
            format!(
                "[[signature]]\nname = \"own\"\nframework = \"own\"\nweight = 100\nplace = \"markup\"\n\
                 cues = [\"{cue}\"]\npattern = '''{pattern}'''\nexample = \"Whatever went wrong\"\nnear_miss = \"\"\n"
            )
        };
        assert!(
            SignatureFile::read(&signature("Whatever went (?:wrong|amiss)", "Whatever")).is_ok()
        );
        for (pattern, cue, said) in [
            (
                r"(?:\w{1,500}){500}",
                "Whatever",
                "signature `own`: Compiled regex exceeds size limit",
            ),
            (
                r"(((a{1,100}){1,100}){1,100}){1,100}",
                "Whatever",
                "signature `own`: Compiled regex exceeds",
            ),
            ("(a", "Whatever", "signature `own`: regex parse error"),
            (r"(a)\1", "Whatever", "signature `own`: regex parse error"),
            ("a", "abc", "signature `own`: a cue has 4 to 64 bytes"),
            (
                "never",
                "Whatever",
                "signature `own`: its example is not found",
            ),
        ] {
            let error = SignatureFile::read(&signature(pattern, cue)).unwrap_err();
            assert!(error.to_string().starts_with(said), "{pattern}: {error}");
        }
    }
}
