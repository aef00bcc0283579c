//! Where a worker's connections come in: its listeners, which may change, and the connections of each, which finish together when
//! theirs is closed.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_local, yield_now};

use super::accept::{self, Crew, Visit};
use super::http1::Scratch;
use super::shared::Shared;
use super::socket::{Acceptor, Connection};
use super::tls::Tls;
use super::{Handler, Listener, Settings};

/// What a worker is to listen on from now on. What is not named closes.
pub(super) struct Order {
    kept: Vec<(u64, Option<Arc<Tls>>)>,
    opened: Vec<(u64, Listener)>,
    settings: Settings,
    _done: oneshot::Sender<()>,
}

/// A worker's listeners and what their connections share.
pub(super) struct Hall<H: Handler> {
    pub(super) index: usize,
    pub(super) crew: Arc<Crew>,
    pub(super) handler: Rc<H>,
    settings: RefCell<Settings>,
    scratch: Rc<Scratch>,
    entrances: RefCell<Vec<Rc<Entrance<H>>>>,
    /// What connections share that are not served as new ones are: of listeners that have closed, or of other settings.
    former: RefCell<Vec<(u64, Rc<Shared<H>>)>>,
    /// The newest listener's number.
    newest: Cell<Option<u64>>,
}

/// A listener in a worker's reactor.
pub(super) struct Entrance<H: Handler> {
    number: u64,
    pub(super) listener: Acceptor,
    tls: RefCell<Option<Arc<Tls>>>,
    shared: RefCell<Rc<Shared<H>>>,
    accepting: RefCell<Option<AbortHandle>>,
}

impl Order {
    /// An order, and what is dropped when it has been followed.
    pub(super) fn new(
        kept: &[(u64, Option<Arc<Tls>>)],
        opened: &[(u64, Listener)],
        settings: &Settings,
    ) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let (done, followed) = oneshot::channel();
        let clone = |(number, listener): &(u64, Listener)| Ok((*number, listener.try_clone()?));
        let order = Self {
            kept: kept.to_vec(),
            opened: opened.iter().map(clone).collect::<io::Result<_>>()?,
            settings: settings.clone(),
            _done: done,
        };
        Ok((order, followed))
    }
}

impl<H: Handler> Hall<H> {
    pub(super) fn new(
        (index, crew): (usize, Arc<Crew>),
        handler: Rc<H>,
        settings: Settings,
    ) -> Self {
        Self {
            index,
            crew,
            handler,
            settings: RefCell::new(settings),
            scratch: Rc::new(Scratch::new()),
            entrances: RefCell::default(),
            former: RefCell::default(),
            newest: Cell::new(None),
        }
    }

    /// Accepts from a listener.
    pub(super) fn open(self: &Rc<Self>, number: u64, listener: Listener) -> io::Result<()> {
        let entrance = Rc::new(Entrance {
            number,
            listener: listener.socket.into_reactor()?,
            tls: RefCell::new(listener.tls),
            shared: RefCell::new(self.anew()),
            accepting: RefCell::default(),
        });
        self.newest.set(self.newest.get().max(Some(number)));
        let accepting = spawn_local(accept::accept(Rc::clone(&entrance), Rc::clone(self)));
        entrance.accepting.replace(Some(accepting.abort_handle()));
        self.entrances.borrow_mut().push(entrance);
        Ok(())
    }

    /// Listens as it is told to from now on.
    pub(super) async fn follow(self: &Rc<Self>, order: Order) {
        // Its connections hold it, those too that have not had their first turn yet.
        (self.former.borrow_mut()).retain(|(_, shared)| Rc::strong_count(shared) > 1);
        let changed = self.settings.replace(order.settings.clone()) != order.settings;
        let closing = self.sort_out(&order.kept);
        for (number, listener) in order.opened {
            if let Err(error) = self.open(number, listener) {
                tracing::error!(%error, "a worker cannot listen");
            }
        }
        if changed {
            self.serve_anew();
        }
        self.shut(closing).await;
    }

    /// Tells the entrances that are kept what is spoken there; gives the others.
    fn sort_out(&self, kept: &[(u64, Option<Arc<Tls>>)]) -> Vec<Rc<Entrance<H>>> {
        let mut entrances = self.entrances.borrow_mut();
        let (mut staying, mut closing) = (Vec::new(), Vec::new());
        for entrance in entrances.drain(..) {
            match kept.iter().find(|(number, _)| *number == entrance.number) {
                Some((_, tls)) => {
                    entrance.tls.replace(tls.clone());
                    staying.push(entrance);
                }
                None => closing.push(entrance),
            }
        }
        *entrances = staying;
        closing
    }

    /// New connections are served by the settings as they are now.
    fn serve_anew(&self) {
        for entrance in self.entrances.borrow().iter() {
            let former = entrance.shared.replace(self.anew());
            self.former.borrow_mut().push((entrance.number, former));
        }
    }

    fn anew(&self) -> Rc<Shared<H>> {
        let settings = self.settings.borrow().clone();
        let (handler, scratch) = (Rc::clone(&self.handler), Rc::clone(&self.scratch));
        Rc::new(Shared::new(handler, settings, scratch))
    }

    /// What a new connection of this listener shares with others. One that another worker has accepted may be of a listener
    /// that this one has closed already, or does not know yet.
    pub(super) fn shared(&self, number: u64) -> Rc<Shared<H>> {
        let entrances = self.entrances.borrow();
        if let Some(entrance) = entrances.iter().find(|it| it.number == number) {
            return Rc::clone(&entrance.shared.borrow());
        }
        let mut former = self.former.borrow_mut();
        if let Some((_, shared)) = former.iter().rfind(|(of, _)| *of == number) {
            return Rc::clone(shared);
        }
        let shared = self.anew();
        if Some(number) <= self.newest.get() {
            shared.drain.begin();
        }
        former.push((number, Rc::clone(&shared)));
        shared
    }

    /// Closes all entrances, and tells all connections to finish.
    pub(super) async fn close(&self) {
        let closing = std::mem::take(&mut *self.entrances.borrow_mut());
        self.shut(closing).await;
        for (_, shared) in self.former.borrow().iter() {
            shared.drain.begin();
        }
    }

    /// Accepts what waits to be, and closes; the connections finish what is in flight.
    async fn shut(&self, closing: Vec<Rc<Entrance<H>>>) {
        if closing.is_empty() {
            return;
        }
        for entrance in &closing {
            if let Some(accepting) = entrance.accepting.take() {
                accepting.abort();
            }
        }
        // The runtime looks for what has come, and lets those begin that are accepted then.
        yield_now().await;
        let numbers: Vec<_> = closing.iter().map(|entrance| entrance.number).collect();
        for entrance in closing {
            entrance.take_last(self);
            let shared = Rc::clone(&entrance.shared.borrow());
            self.former.borrow_mut().push((entrance.number, shared));
        }
        yield_now().await;
        for (number, shared) in self.former.borrow().iter() {
            if numbers.contains(number) {
                shared.drain.begin();
            }
        }
    }

    /// Ends when no connection is left, nor anything that outlives one.
    pub(super) async fn empty(&self) {
        while let Some(shared) = self.occupied() {
            shared.drain.empty().await;
        }
        Rc::clone(&self.handler).settle().await;
    }

    /// What some connections share that still finish.
    fn occupied(&self) -> Option<Rc<Shared<H>>> {
        let former = self.former.borrow();
        let mut occupied = former.iter().filter(|(_, it)| !it.drain.is_empty());
        occupied.next().map(|(_, shared)| Rc::clone(shared))
    }

    /// How long that may take.
    pub(super) fn drain(&self) -> Duration {
        self.settings.borrow().drain
    }
}

impl<H: Handler> Entrance<H> {
    /// A visit that begins here.
    pub(super) fn visit(&self, (stream, address): (Connection, SocketAddr)) -> Visit {
        Visit {
            stream,
            address,
            door: self.number,
            tls: self.tls.borrow().clone(),
        }
    }

    /// Accepts what waits to be: the kernel would reset it with the listener.
    fn take_last(&self, hall: &Hall<H>) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(accepted)) = self.listener.poll_accept(&mut cx) {
            // Served here, however busy: another worker may have ended.
            if let Some(seat) = hall.crew.seat(hall.index) {
                let shared = Rc::clone(&self.shared.borrow());
                accept::begin(self.visit(accepted), seat, shared);
            }
        }
    }
}
