//! The way to the app: an exchange out, an answer or an error back, and a passing answer on to the visitor.

use std::rc::Rc;
use std::sync::Arc;

use http::header::UPGRADE;
use http::{Response, StatusCode, Version};

use super::body::{Body, Passing};
use super::disguised::{Head, Rest, Watched};
use super::exchange::Exchange;
use super::headers::Outgoing;
use super::route::Route;
use super::trailers::Screened;
use super::{Proxy, headers, upgrade};
use crate::intercept::Passed;
use crate::server::Incoming;
use crate::upstream::{Answer, RequestBody, Tunnel, UpstreamError};

impl Proxy {
    /// Sends the request to the route's app.
    pub(super) async fn forward(
        &self,
        exchange: &Exchange,
        route: &Route,
        mut body: Incoming,
    ) -> Result<Answer, UpstreamError> {
        let expects = exchange.expects();
        let protocols = upgrade::protocols(exchange);
        let tunnel = protocols.and_then(|protocols| Some((protocols, body.tunnel()?)));
        let upgrade = tunnel.as_ref().map(|(protocols, _)| *protocols);
        let body = match tunnel {
            None => {
                let request_id = self.settings.request_id.header.clone();
                let body = Screened { body, request_id };
                RequestBody::new(body, self.settings.body_limits, expects)
            }
            Some((protocols, incoming)) => RequestBody::tunnel(
                incoming,
                Tunnel {
                    protocols: protocols.clone(),
                    idle: self.settings.tunnel_idle,
                },
            ),
        };
        let (client, host) = self.client(route);
        let outgoing = |endpoint| Outgoing {
            exchange,
            settings: &self.settings,
            host,
            endpoint,
            upgrade,
        };
        let (head, timeouts) = ((&exchange.method, outgoing), &route.timeouts);
        client.send(head, &body, timeouts, exchange.begun).await
    }

    /// Passes an answer on as it is: what belongs to the connection removed, the request ID set.
    pub(super) fn pass(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        route: &Arc<Route>,
        passed: Passed,
    ) -> Response<Body> {
        let Passed {
            answer,
            ahead,
            watch,
        } = passed;
        let Answer {
            mut head,
            body,
            seat,
            attempts,
            begun,
        } = answer;
        let watched = watch.map(|watch| {
            let head = Head::new(&head, seat.name(), attempts, begun.elapsed());
            Box::new(Watched::new(watch, head))
        });
        let protocol = (head.status == StatusCode::SWITCHING_PROTOCOLS)
            .then(|| head.headers.remove(UPGRADE))
            .flatten();
        headers::clean_answer(&mut head.headers, &self.settings.request_id.header);
        route.policy.strip(&mut head.headers);
        head.headers.insert(
            self.settings.request_id.header.clone(),
            exchange.id_value.clone(),
        );
        exchange.close_after(&mut head.headers);
        if let Some(protocol) = protocol {
            head.headers.insert(UPGRADE, protocol);
        }
        // The version is this connection's, not the app's.
        head.version = Version::HTTP_11;
        let from = (Rest { ahead, body }, seat);
        let passing = Passing::new(self, exchange, route, head.status, from).watched(watched);
        Response::from_parts(head, Body::Passing(Box::new(passing)))
    }

    /// The client and the host rule of a route's upstream.
    fn client(&self, route: &Route) -> (&crate::upstream::Client, &crate::config::HostHeader) {
        let client = self.clients.get(route.upstream);
        let upstream = self.settings.upstreams.get(route.upstream);
        #[expect(
            clippy::expect_used,
            reason = "a snapshot's routes point into its own upstreams"
        )]
        client
            .zip(upstream.map(|(_, host)| host))
            .expect("a route's upstream is in its snapshot")
    }
}
