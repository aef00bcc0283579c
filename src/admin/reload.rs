//! `POST /api/reload`: the configuration is read again by the thread that can; here its outcome is waited for.

use std::time::Duration;

use http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::reply::{Problem, Reply, reply};
use crate::config::{Changes, Report};
use crate::telemetry::json;

/// Requests that may wait for a reload; one reload serves all that wait.
const WAITING: usize = 16;

/// How long one waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a reload.
#[derive(Clone, Debug)]
pub enum Reloaded {
    /// It is in force.
    InForce(Changes),
    /// The file is not right, and what was in force before is in force.
    Refused(Report),
    /// There is nothing to read again: why.
    Impossible(&'static str),
}

/// Where a reload is asked for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloads(mpsc::Sender<Ask>);

/// Those who have asked for a reload.
#[derive(Debug)]
pub struct Asks(mpsc::Receiver<Ask>);

/// Somebody who waits for a reload.
#[derive(Debug)]
pub struct Ask(oneshot::Sender<Reloaded>);

impl Reloads {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Asks) {
        let (reloads, asks) = mpsc::channel(WAITING);
        (Self(reloads), Asks(asks))
    }

    /// Has the configuration read again, and says what came of it.
    pub(super) async fn reload(&self) -> Result<Reply, Problem> {
        let (outcome, told) = oneshot::channel();
        let unavailable = |title| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                title,
                "ask again in a moment",
            )
        };
        let asked = self.0.try_send(Ask(outcome));
        asked.map_err(|_| unavailable("nothing is reloaded now"))?;
        let told = timeout(PATIENCE, told).await;
        let told = told.map_err(|_| unavailable("the reload takes too long"))?;
        match told.map_err(|_| unavailable("the process is stopping"))? {
            Reloaded::InForce(changes) => {
                let text = json::line(&changes).unwrap_or_default();
                Ok(reply(StatusCode::OK, "application/json", text))
            }
            Reloaded::Refused(report) => {
                let count = report.count();
                let plural = if count == 1 { "" } else { "s" };
                let title = format!(
                    "{count} problem{plural}; the configuration from before stays in force"
                );
                Err(Problem {
                    detail: Some(report.to_string().into()),
                    ..Problem::new(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        title,
                        "mend the file; `pardon check` says the same",
                    )
                })
            }
            Reloaded::Impossible(why) => Err(Problem::new(
                StatusCode::CONFLICT,
                why,
                "start with --config FILE",
            )),
        }
    }
}

impl Asks {
    /// The next who asks. Does not end when nobody can ask any more.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Ask {
        match self.0.recv().await {
            Some(ask) => ask,
            None => std::future::pending().await,
        }
    }

    /// All who wait now: one reload serves them.
    pub fn waiting(&mut self) -> Vec<Ask> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

impl Ask {
    /// Tells the outcome.
    pub fn answer(self, outcome: Reloaded) {
        // Whoever asked may have left.
        drop(self.0.send(outcome));
    }
}
