//! Checks of `[brand]`, `[pages]`, `[maintenance]`, `[bypass]` and `[incidents]`.

use super::super::{Brand, Pages};
use super::patterns::{wrong_email, wrong_language, wrong_link};
use super::{Checks, Path};
use crate::maintenance::LONGEST_MESSAGE;

impl Checks<'_> {
    pub(super) fn brands(&mut self) {
        let root = &self.config.brand;
        for (here, brand) in self.sections("brand", root, |route| &route.brand) {
            self.brand(&here, brand);
        }
    }

    fn brand(&mut self, here: &Path, brand: &Brand) {
        if let Some(path) = &brand.logo {
            self.logo(&here.at("logo"), path);
        }
        let links = [
            ("support_url", &brand.support_url, true),
            ("status_url", &brand.status_url, false),
            ("home_url", &brand.home_url, false),
        ];
        for (key, link, fills_in) in links {
            let wrong = link.as_deref().and_then(|link| wrong_link(link, fills_in));
            self.bad_if(&here.at(key), wrong);
        }
        let email = brand.support_email.as_deref();
        self.bad_if(&here.at("support_email"), email.and_then(wrong_email));
    }

    pub(super) fn pages(&mut self) {
        let root = &self.config.pages;
        for (here, pages) in self.sections("pages", root, |route| &route.pages) {
            self.page(&here, pages);
        }
    }

    fn page(&mut self, here: &Path, pages: &Pages) {
        if let Some(path) = &pages.folder {
            self.readable_folder(&here.at("folder"), path);
        }
        let here = here.at("languages");
        self.each(&here, &pages.languages, wrong_language);
        for (at, language) in pages.languages.iter().enumerate() {
            let mut earlier = pages.languages.iter().take(at);
            if earlier.any(|other| other.eq_ignore_ascii_case(language)) {
                self.wrong(&here.nth(at), format!("`{language}` is named twice"), "");
            }
        }
    }

    pub(super) fn maintenances(&mut self) {
        let root = &self.config.maintenance;
        for (here, maintenance) in self.sections("maintenance", root, |route| &route.maintenance) {
            let until = maintenance.until.as_str();
            let wrong = !until.is_empty() && until.parse::<jiff::Timestamp>().is_err();
            let hint = format!("`{until}` is not a time such as \"2026-03-01T06:00:00Z\"");
            self.bad_if(&here.at("until"), wrong.then_some(hint));
            let long = maintenance.message.chars().count() > LONGEST_MESSAGE;
            let hint = format!("at most {LONGEST_MESSAGE} characters");
            self.bad_if(&here.at("message"), long.then_some(hint));
            for (at, path) in maintenance.pass_paths.iter().enumerate() {
                let hint = "a path begins with `/`";
                let wrong = !path.starts_with('/');
                self.bad_if(&here.at("pass_paths").nth(at), wrong.then_some(hint));
            }
        }
    }

    /// What is kept: incidents, and the key of bypass links.
    pub(super) fn stores(&mut self) {
        let here = Path::of("incidents");
        let incidents = &self.config.incidents;
        self.lasting(&here.at("max_age"), incidents.max_age);
        self.at_least_one(&here.at("max_size"), incidents.max_size.0);
        self.at_least_one(&here.at("memory"), incidents.memory.0);
        let empty = incidents.path.as_os_str().is_empty();
        self.bad_if(&here.at("path"), empty.then_some("a path is missing"));
        if let Some(path) = self.config.bypass.key() {
            self.bypass_key(&Path::of("bypass").at("key_file"), path);
        }
    }
}
