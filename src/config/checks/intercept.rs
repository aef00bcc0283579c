//! Checks of `[intercept]`, the file's own and each route's.

use super::super::{Capture, Disguise, Intercept, Redact};
use super::patterns::{compiled, wrong_header_pattern, wrong_media_type, wrong_redact_pattern};
use super::{Checks, Path};

impl Checks<'_> {
    pub(super) fn intercepts(&mut self) {
        let root = &self.config.intercept;
        for (here, intercept) in self.sections("intercept", root, |route| &route.intercept) {
            self.intercept(&here, intercept);
            self.capture(&here.at("capture"), &intercept.capture);
            self.disguise(&here.at("disguise"), &intercept.disguise);
            self.redact(&here.at("redact"), &intercept.redact);
        }
    }

    fn intercept(&mut self, here: &Path, intercept: &Intercept) {
        self.each(
            &here.at("pass_content_types"),
            &intercept.pass_content_types,
            wrong_media_type,
        );
        self.each(
            &here.at("keep_headers"),
            &intercept.keep_headers,
            wrong_header_pattern,
        );
        self.each(
            &here.at("strip_headers"),
            &intercept.strip_headers,
            wrong_header_pattern,
        );
        let pattern = &intercept.reference_pattern;
        if pattern.is_empty() {
            return;
        }
        let wrong = match compiled(pattern) {
            Ok(regex) => match regex.captures_len() {
                2 => None,
                groups => Some(format!(
                    "exactly one group is the reference, here are {}",
                    groups - 1
                )),
            },
            Err(reason) => Some(reason),
        };
        self.bad_if(&here.at("reference_pattern"), wrong);
    }

    fn capture(&mut self, here: &Path, capture: &Capture) {
        self.lasting(&here.at("deadline"), capture.deadline);
        if capture.hold > capture.deadline {
            self.warn(
                &here.at("hold"),
                "`hold` is longer than `deadline`",
                format!(
                    "reading ends after {}, and the page goes out then",
                    capture.deadline
                ),
            );
        }
    }

    fn disguise(&mut self, here: &Path, disguise: &Disguise) {
        let outside = !(400..=599).contains(&disguise.status);
        self.bad_if(
            &here.at("status"),
            outside.then_some("must be from 400 to 599"),
        );
        self.share(&here.at("sample"), disguise.sample);
        self.each(&here.at("types"), &disguise.types, wrong_media_type);
        if let Some(path) = &disguise.signatures {
            self.readable(&here.at("signatures"), path);
        }
    }

    fn redact(&mut self, here: &Path, redact: &Redact) {
        self.each(&here.at("patterns"), &redact.patterns, wrong_redact_pattern);
    }

    /// Checks each element of a list, with its own place.
    pub(super) fn each(
        &mut self,
        here: &Path,
        list: &[String],
        wrong: impl Fn(&str) -> Option<String>,
    ) {
        for (at, element) in list.iter().enumerate() {
            self.bad_if(&here.nth(at), wrong(element));
        }
    }
}
