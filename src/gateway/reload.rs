//! A new configuration is taken over while the process serves: all of it or none.
//!
//! What can fail comes first (apps, pages, certificates, addresses), then the change, which cannot. What only a new process can
//! change stays as it is, and is said.

use std::sync::Arc;

use super::build::{App, snapshot};
use super::certificates::{Secure, Secured};
use super::inherited::Inherited;
use super::listeners::{Bound, bound, doors};
use super::{Gateway, settings, unix};
use crate::config::{Changes, Config, Report};
use crate::upstream;

impl Gateway {
    /// Takes over a configuration. What is in flight ends under the one that it began with; connections to apps whose settings
    /// stay are kept.
    ///
    /// # Errors
    ///
    /// Every problem that keeps it from being in force; nothing has changed then.
    pub async fn reload(&mut self, loaded: Config) -> Result<Changes, Report> {
        let config = settled(&self.config, loaded.clone());
        let (snapshot, apps) = snapshot(&config, self.workers, &self.apps, self.ordered.board())?;
        let secured = Secure::read(&config, self.secure.as_ref())?;
        let tls = secured.as_ref().map(Secured::tls);
        let doors = doors(
            &config.server.listen,
            tls,
            &self.bound,
            &mut Inherited::default(),
        )?;
        let failed = |error: std::io::Error| Report::of(format!("cannot reload: {error}"), "");
        let plan = self.server.plan(doors, &settings(&config, self.workers));
        let plan = plan.map_err(failed)?;
        let upstreams = || apps.iter().map(|app: &App| Arc::clone(&app.upstream));
        if !self.watch.is_of(upstreams()) {
            self.watch = upstream::Watch::start(upstreams()).map_err(failed)?;
        }
        // From here on nothing fails.
        self.secure = secured.map(Secured::show);
        upstreams().for_each(|app| app.take_over());
        self.asked.set(upstreams());
        self.in_force.send_replace(Arc::new(snapshot));
        self.server.follow(plan).await;
        let bound = bound(&config.server.listen, self.server.addresses());
        unix::renew(&mut self.files, &config.server.listen, &self.bound);
        let before = std::mem::replace(&mut self.bound, bound);
        let actual = |bound: &[Bound]| -> Vec<String> {
            bound.iter().map(|it| it.actual.to_string()).collect()
        };
        let (before, now) = (actual(&before), actual(&self.bound));
        let changes = Changes {
            changed: self.config.differences(&config),
            at_next_start: config.differences(&loaded),
            opened: only_in(&now, &before),
            closed: only_in(&before, &now),
        };
        self.apps = apps;
        self.config = config;
        Ok(changes)
    }
}

fn only_in(these: &[String], others: &[String]) -> Vec<String> {
    let missing = these.iter().filter(|one| !others.contains(one));
    missing.cloned().collect()
}

/// A loaded configuration with what only a new process can change as it is in force.
fn settled(in_force: &Config, mut loaded: Config) -> Config {
    loaded.server.workers = in_force.server.workers;
    loaded.admin = in_force.admin.clone();
    let (was, is) = (&in_force.incidents, &mut loaded.incidents);
    is.path.clone_from(&was.path);
    (is.sync, is.max_age, is.max_size, is.memory) =
        (was.sync, was.max_age, was.max_size, was.memory);
    let (was, is) = (&in_force.log, &mut loaded.log);
    is.level.clone_from(&was.level);
    (is.format, is.buffer) = (was.format, was.buffer);
    loaded
}
