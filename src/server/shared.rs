//! What all connections share that a worker has accepted at one listener under the same settings.

use std::rc::Rc;

use super::date::Date;
use super::drain::Drain;
use super::http1::Scratch;
use super::{Handler, Settings};

/// What all connections share that a worker has accepted at one listener under the same settings: told to finish, they finish together.
pub(super) struct Shared<H: Handler> {
    pub(super) handler: Rc<H>,
    pub(super) settings: Settings,
    pub(super) drain: Drain,
    pub(super) scratch: Rc<Scratch>,
}

impl<H: Handler> Shared<H> {
    pub(super) fn new(handler: Rc<H>, settings: Settings, scratch: Rc<Scratch>) -> Self {
        Self {
            handler,
            settings,
            drain: Drain::default(),
            scratch,
        }
    }

    /// What answers state as their time.
    pub(super) fn date(&self) -> &Date {
        &self.scratch.date
    }
}
