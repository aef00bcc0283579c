//! `[log]`: what is written to stderr.

use super::units::Size;

/// `[log]`
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// `"json"` or `"pretty"`; default: pretty when stderr is a terminal, JSON otherwise.
    pub format: Option<LogFormat>,
    /// `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"`.
    pub level: String,
    /// One line a request: `false`, `"json"` or `"combined"`. Failures are always logged.
    pub access: AccessFormat,
    /// Lines that wait for a slow reader; past it they are dropped and counted.
    pub buffer: Size,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Pretty,
}

/// The form of access log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// None are written.
    Off,
    /// One JSON object a line.
    Json,
    /// The Combined Log Format.
    Combined,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: None,
            level: "info".to_owned(),
            access: AccessFormat::Off,
            buffer: Size::mib(4),
        }
    }
}
