//! What all connections of a worker share.

use std::rc::Rc;

use super::date::Date;
use super::drain::Drain;
use super::http1::Scratch;
use super::{Handler, Settings};

/// What all connections of a worker share.
pub(super) struct Shared<H: Handler> {
    pub(super) handler: Rc<H>,
    pub(super) settings: Settings,
    pub(super) drain: Drain,
    pub(super) scratch: Scratch,
}

impl<H: Handler> Shared<H> {
    pub(super) fn new(handler: Rc<H>, settings: Settings) -> Self {
        Self {
            handler,
            settings,
            drain: Drain::default(),
            scratch: Scratch::new(),
        }
    }

    /// What answers state as their time.
    pub(super) fn date(&self) -> &Date {
        &self.scratch.date
    }
}
