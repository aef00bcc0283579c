//! A pool's connections of HTTP/2, which exchanges share: when another one is opened, and who waits for it.

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::Timeouts;
use super::balance::Seat;
use super::capacity::Permit;
use super::error::{ErrorKind, UpstreamError};
use super::http2::Carrier;
use super::pool::{Aim, Pool, Taken};
use crate::config::Protocol;
use crate::http1::Stream;

impl Pool {
    /// A connection of HTTP/2 to this endpoint that takes another request.
    pub(super) fn carrier(&self, seat: &Rc<Seat>) -> Option<Rc<Carrier>> {
        self.0.carriers.find(seat)
    }

    /// Whether exchanges with this endpoint share connections, as far as is known before there is one.
    pub(super) fn shares(&self, seat: &Rc<Seat>) -> bool {
        self.0.upstream.protocol == Protocol::Http2 || self.0.carriers.leads_to(seat)
    }

    /// A place on a connection of HTTP/2: as soon as one takes another request, or there may be a new one. One of those that wait
    /// connects.
    pub(super) async fn share(
        &self,
        aim: &mut Aim<'_>,
        timeouts: &Timeouts,
    ) -> Result<Taken, UpstreamError> {
        let (carriers, capacity) = (&self.0.carriers, &self.0.upstream.capacity);
        let overloaded = || UpstreamError::new(ErrorKind::Overloaded);
        let _waiting = carriers
            .wait(capacity.max_waiting())
            .ok_or_else(overloaded)?;
        let until = Instant::now() + timeouts.queue;
        loop {
            if let Some(carrier) = carriers.find(&aim.seat) {
                return Ok(Taken::Carrier(carrier));
            }
            if !carriers.are_connecting() {
                if let Some(permit) = capacity.try_acquire() {
                    let _connecting = carriers.connect();
                    return self.open(permit, aim, timeouts).await;
                }
                if !carriers.leads_to(&aim.seat) {
                    let _connecting = carriers.connect();
                    return self.wait(aim, timeouts).await;
                }
            }
            if timeout_at(until, carriers.changed()).await.is_err() {
                return Err(overloaded());
            }
        }
    }

    /// Begins HTTP/2 on a new connection.
    pub(super) async fn begin(
        &self,
        stream: Stream,
        seat: &Rc<Seat>,
        permit: Permit,
        deadline: Instant,
    ) -> Result<Taken, UpstreamError> {
        let begun = self
            .0
            .carriers
            .begin(stream, seat, permit, self.0.upstream.limits);
        let late = |_| Err(UpstreamError::new(ErrorKind::ConnectTimeout));
        match timeout_at(deadline, begun).await.unwrap_or_else(late) {
            Ok(carrier) => {
                if self.is_retired() {
                    self.0.carriers.let_go();
                }
                self.mark(&self.0.idle.borrow());
                Ok(Taken::Carrier(carrier))
            }
            Err(mut error) => {
                error.endpoint = Some(Arc::clone(seat.name()));
                self.0.upstream.failed(&seat.endpoint);
                Err(error)
            }
        }
    }
}
