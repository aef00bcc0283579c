//! What goes on beside the requests, once for the process: names are resolved again, endpoints asked how they are.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::LocalRuntime;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::endpoint::Endpoint;
use super::names::{NAME_SILENCE, Names};
use super::{Upstream, check};

/// A thread that looks after upstreams; it ends with this value.
#[derive(Debug, Default)]
pub struct Watch {
    watched: Vec<Arc<Upstream>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Looks after those upstreams that have a name or a health check; no thread where there is none.
    ///
    /// # Errors
    ///
    /// When the thread or its runtime cannot be had.
    pub fn start(upstreams: impl Iterator<Item = Arc<Upstream>>) -> io::Result<Self> {
        let watched: Vec<_> = upstreams.filter(|upstream| upstream.is_watched()).collect();
        if watched.is_empty() {
            return Ok(Self::default());
        }
        let (end, ended) = oneshot::channel();
        let attended = watched.clone();
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("endpoints".to_owned())
            .spawn(move || {
                let runtime = match runtime() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                drop(ready.send(Ok(())));
                run(runtime, attended, ended);
            })?;
        let lost = |_| Err(io::Error::other("its thread ended"));
        started.recv().unwrap_or_else(lost)?;
        Ok(Self {
            watched,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Whether it would look after the same ones if it was started with these.
    pub fn is_of(&self, upstreams: impl Iterator<Item = Arc<Upstream>>) -> bool {
        let watched = upstreams.filter(|upstream| upstream.is_watched());
        watched
            .map(|it| Arc::as_ptr(&it))
            .eq(self.watched.iter().map(Arc::as_ptr))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn runtime() -> io::Result<LocalRuntime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
}

fn run(runtime: LocalRuntime, upstreams: Vec<Arc<Upstream>>, ended: oneshot::Receiver<()>) {
    runtime.block_on(async {
        for upstream in upstreams {
            for (at, site) in upstream.sites.iter().enumerate() {
                if let Some(names) = &site.names {
                    spawn_local(follow(Arc::clone(&upstream), at, Arc::clone(names)));
                }
            }
            if upstream.check.is_some() {
                spawn_local(attend_all(upstream));
            }
        }
        // An end without a word is an end.
        let _ = ended.await;
    });
    // A resolver that does not answer is not waited for.
    runtime.shutdown_background();
}

/// Resolves a name again whenever its addresses may be used no longer; at once, but not more often than a name may be asked
/// for, where one of them is in doubt.
async fn follow(upstream: Arc<Upstream>, at: usize, names: Arc<Names>) {
    loop {
        // What is wrong has been said.
        let _ = upstream.resolve_site(at, NAME_SILENCE).await;
        sleep(NAME_SILENCE).await;
        let rest = names.life().saturating_sub(NAME_SILENCE);
        let _ = timeout(rest, names.doubted()).await;
    }
}

/// Has every endpoint attended to, those too that come later.
async fn attend_all(upstream: Arc<Upstream>) {
    let mut attended: Vec<Arc<Endpoint>> = Vec::new();
    loop {
        attended.retain(|endpoint| !endpoint.is_retired());
        for endpoint in upstream.roster.endpoints().iter() {
            if !attended.iter().any(|known| Arc::ptr_eq(known, endpoint)) {
                attended.push(Arc::clone(endpoint));
                spawn_local(check::attend(Arc::clone(&upstream), Arc::clone(endpoint)));
            }
        }
        upstream.roster.changed().await;
    }
}

impl Upstream {
    fn is_watched(&self) -> bool {
        self.check.is_some() || self.sites.iter().any(|site| site.names.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config;

    fn upstream(url: &str) -> Arc<Upstream> {
        let settings = config::Upstream {
            endpoints: vec![url.parse().unwrap()],
            ..config::Upstream::default()
        };
        Arc::new(Upstream::build("app", &settings, Path::new(""), 1).unwrap())
    }

    #[test]
    fn names_are_resolved_without_a_request() {
        let upstream = upstream("http://localhost:81");
        assert!(upstream.endpoints().is_empty() && upstream.is_usable());
        let watch = Watch::start(std::iter::once(Arc::clone(&upstream))).unwrap();
        let begun = Instant::now();
        while upstream.endpoints().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain");
            thread::park_timeout(Duration::from_millis(1));
        }
        let names: Vec<_> = upstream.endpoints().into_iter().map(|e| e.name).collect();
        assert!(
            names
                .iter()
                .any(|name| &**name == "localhost:81 (127.0.0.1)"),
            "{names:?}"
        );
        drop(watch);
        assert_eq!(Arc::strong_count(&upstream), 1, "the thread has ended");
    }

    #[test]
    fn where_nothing_is_to_be_watched_there_is_no_thread() {
        let watch = Watch::start(std::iter::once(upstream("http://127.0.0.1:81"))).unwrap();
        assert!(watch.thread.is_none());
    }
}
