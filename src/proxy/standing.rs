//! What stays when the configuration changes, and how a worker takes over the new one.
//!
//! A worker looks for a change with each request, which costs a load; a task of its own looks too, so that a worker without
//! requests does not hold what is not in force any more. Apps that stay the same keep their connections.

use std::cell::RefCell;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use http::{Request, Response};
use tokio::sync::watch;
use tokio::task::spawn_local;

use super::afterwork::Afterwork;
use super::trace::TraceSource;
use super::{Body, Proxy, Snapshot};
use crate::config;
use crate::incident::{Desk, Incidents};
use crate::request_id::{IdKey, IdSource};
use crate::server::{Incoming, Peer, Unreadable};
use crate::telemetry::Meters;
use crate::upstream::{Client, Upstream};

/// What a worker's proxies are made with, whatever the configuration.
#[derive(Clone)]
pub struct Worker {
    /// Its number.
    pub number: usize,
    /// What is kept of failures.
    pub incidents: Incidents,
    /// What IDs come from.
    pub key: Arc<IdKey>,
    /// What is counted.
    pub meters: Arc<Meters>,
}

/// A worker's proxies: the one in force, and those before it as long as exchanges hold them.
pub struct Proxies {
    worker: Worker,
    settings: RefCell<watch::Receiver<Arc<Snapshot>>>,
    ids: Rc<IdSource>,
    desk: Rc<Desk>,
    afterwork: Afterwork,
    now: RefCell<Rc<Proxy>>,
}

impl Proxies {
    /// The proxies of a worker, to be made inside its runtime; `settings` is what is in force.
    #[must_use]
    pub fn new(worker: Worker, mut settings: watch::Receiver<Arc<Snapshot>>) -> Rc<Self> {
        let ids = Rc::new(IdSource::new(&worker.key, worker.number));
        let desk = Rc::new(worker.incidents.desk());
        let afterwork = Afterwork::default();
        let snapshot = Arc::clone(&settings.borrow_and_update());
        let parts = (&ids, &desk, &afterwork);
        let now = Rc::new(Proxy::of(&worker, parts, snapshot, &[]));
        let proxies = Rc::new(Self {
            worker,
            settings: RefCell::new(settings.clone()),
            ids,
            desk,
            afterwork,
            now: RefCell::new(now),
        });
        spawn_local(follow(Rc::downgrade(&proxies), settings));
        proxies
    }

    /// The proxy for what begins now.
    fn current(&self) -> Rc<Proxy> {
        // An error says that nothing can change any more.
        if self.settings.borrow().has_changed().unwrap_or(false) {
            self.renew();
        }
        Rc::clone(&self.now.borrow())
    }

    /// Takes over what is in force now.
    #[cold]
    fn renew(&self) {
        let snapshot = Arc::clone(&self.settings.borrow_mut().borrow_and_update());
        let former = Rc::clone(&self.now.borrow());
        let parts = (&self.ids, &self.desk, &self.afterwork);
        let proxy = Rc::new(Proxy::of(&self.worker, parts, snapshot, &former.clients));
        for client in &former.clients {
            if !proxy.clients.iter().any(|kept| kept.is_same(client)) {
                client.retire();
            }
        }
        self.now.replace(proxy);
    }

    /// Answers one request; see [`Proxy::handle`].
    pub fn handle(
        &self,
        request: Request<Incoming>,
        peer: Rc<Peer>,
    ) -> impl Future<Output = Response<Body>> + use<> {
        self.current().handle(request, peer)
    }

    /// Answers a request that cannot be read.
    pub fn unreadable(
        &self,
        request: Request<()>,
        why: Unreadable,
        peer: Rc<Peer>,
    ) -> Response<Body> {
        self.current().unreadable(request, why, peer)
    }

    /// Ends when no capture and no commit is under way.
    pub async fn settle(&self) {
        self.afterwork.done().await;
    }

    /// Cuts the captures under way, so that their incidents are recorded with what has come.
    pub fn hurry(&self) {
        self.afterwork.hurry();
    }
}

/// Has a worker take over each configuration, with or without requests. Ends with the worker.
async fn follow(proxies: Weak<Proxies>, mut settings: watch::Receiver<Arc<Snapshot>>) {
    while settings.changed().await.is_ok() {
        let Some(proxies) = proxies.upgrade() else {
            return;
        };
        drop(proxies.current());
    }
}

impl Proxy {
    /// A worker's proxy under a configuration. Apps that it has in common with the one before are spoken to by the same clients.
    fn of(
        worker: &Worker,
        (ids, desk, afterwork): (&Rc<IdSource>, &Rc<Desk>, &Afterwork),
        settings: Arc<Snapshot>,
        former: &[Client],
    ) -> Self {
        let client = |(upstream, _): &(Arc<Upstream>, config::HostHeader)| {
            let known = former
                .iter()
                .find(|client| Arc::ptr_eq(client.upstream(), upstream));
            known
                .cloned()
                .unwrap_or_else(|| Client::new(Arc::clone(upstream), worker.number))
        };
        let apps = settings.upstreams.iter();
        let apps: Vec<_> = apps.map(|(app, _)| Arc::clone(&app.name)).collect();
        let routes = settings.routes.iter().map(|route| &route.name);
        Self {
            meter: worker.meters.meter(worker.number, routes, &apps),
            clients: settings.upstreams.iter().map(client).collect(),
            ids: Rc::clone(ids),
            traces: TraceSource::new(settings.traceparent),
            settings,
            desk: Rc::clone(desk),
            incidents: worker.incidents.clone(),
            afterwork: afterwork.clone(),
        }
    }
}
