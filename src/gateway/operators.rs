//! The operator's listener: its token, and its server.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::admin::{Admin, Sources};
use crate::config::{self, Config, Report, Token, TokenProblem};
use crate::server::{Listener, Server, Settings};

/// The token that the operator's listener asks for, if there is to be one.
pub(super) fn token(config: &Config) -> Result<Option<Token>, Report> {
    let Some(file) = &config.admin.token_file else {
        return Ok(None);
    };
    let read = Token::read(&config.folder.join(file));
    let unfit = |problem: TokenProblem| {
        let title = format!("`{}` holds no token: {problem}", file.display());
        Report::of(title, problem.hint())
    };
    read.map(Some).map_err(unfit)
}

/// The operator's server, where it is to listen anywhere.
pub(super) fn serve_admin(
    listeners: &[Listener],
    sources: Sources,
    token: Option<Token>,
) -> io::Result<Option<Server>> {
    if listeners.is_empty() {
        return Ok(None);
    }
    let settings = Settings {
        workers: 1,
        name: "admin",
        max_connections: 256,
        timeouts: config::ServerTimeouts::default(),
        announcing: None,
        limits: config::Limits::default(),
        drain: Duration::from_secs(1),
    };
    let make = move |_| Rc::new(Admin::new(sources.clone(), token.as_ref()));
    Server::start(listeners, &settings, make).map(Some)
}
