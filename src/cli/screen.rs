//! The terminal, if there is one: its colors and its width.

use std::io::IsTerminal;
use std::os::fd::AsFd;

/// The width that is taken for that of a terminal which tells none.
const USUAL: usize = 100;
/// Lines are not made longer than this, however wide the terminal.
const WIDEST: usize = 160;

/// How what is printed looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// The columns of a terminal; none where there is no terminal.
    pub(super) columns: Option<usize>,
    color: bool,
}

impl Screen {
    /// No terminal.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self {
        columns: None,
        color: false,
    };

    /// That of a standard stream.
    pub(super) fn of(stream: &(impl AsFd + IsTerminal)) -> Self {
        Self {
            columns: stream.is_terminal().then(|| columns(stream)),
            color: super::color_on(stream),
        }
    }

    /// What stands out.
    pub(super) fn bold(self, text: &str) -> String {
        self.in_shade("1", text)
    }

    /// What stands back.
    pub(super) fn dim(self, text: &str) -> String {
        self.in_shade("2", text)
    }

    /// What has failed.
    pub(super) fn red(self, text: &str) -> String {
        self.in_shade("31", text)
    }

    fn in_shade(self, shade: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{shade}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn columns(stream: &impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(stream);
    let told = size.map_or(0, |size| usize::from(size.ws_col));
    if told == 0 { USUAL } else { told.min(WIDEST) }
}
