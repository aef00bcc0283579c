//! Sizes and numbers: what is at a limit is served, what is one past it is not. Where each key of a limit or a time is shown:
//!
//! | Key | Test |
//! | --- | --- |
//! | `server.max_connections` | here; `shutdown::a_lack_of_file_descriptors_is_lived_through` |
//! | `server.limits.head`, `headers`, `uri` | here; over HTTP/2 `http2::malformed::heads_past_their_limits` |
//! | `server.limits.body` | `refused::a_body_past_the_limit_is_a_413` |
//! | `server.limits.h2_streams` | `http2::floods::streams_past_the_limit_are_refused` |
//! | `server.limits.h2_resets` | `http2::floods::rapid_resets_end_the_connection` |
//! | `server.timeouts.handshake` | `tls::a_silent_handshake_takes_its_time_and_no_more` |
//! | `server.timeouts.head` | `server::http1::tests::half_a_head_behind_a_request_…`, `http2::slowness` |
//! | `server.timeouts.body` | `refused::a_body_that_stops_coming_is_a_408_and_no_failure_of_the_apps` |
//! | `server.timeouts.idle` | `server::http1::tests::a_connection_that_rests_serves_again_and_ends_when_its_time_is_up` |
//! | `server.timeouts.write` | `server::http1::tests::a_reader_that_stops_is_let_go`, `http2::slowness` |
//! | `server.timeouts.tunnel` | `upgrades::ends::a_tunnel_in_which_nothing_moves_is_closed` |
//! | `server.timeouts.min_rate` | `http1::pace::tests`, `server::http1::tests::a_reader_below_the_least_rate_is_let_go` |
//! | `upstreams.*.max_connections`, `queue` | `failures::past_the_limit_…`, `failures::who_waits_in_the_queue_…` |
//! | `upstreams.*.max_head`, `max_headers` | here |
//! | `upstreams.*.timeouts.connect`, `head` | `failures` |
//! | `upstreams.*.timeouts.body` | `broken_off`, `streaming` |
//! | `upstreams.*.timeouts.idle` | `pool::an_idle_connection_is_closed_in_time` |
//! | `upstreams.*.timeouts.total` | `failures::an_exchange_has_a_deadline_of_its_own` |
//! | `upstreams.*.timeouts.queue` | `failures::a_place_in_the_queue_has_its_time` |

use pardon::incident::Cause;

use crate::support::{Gateway, Origin, eventually};

const HOST: &str = "Host: shop.example\r\n";

/// Asks at a limit, and one past it.
fn both(toml: &str, request: impl Fn(usize) -> String, limit: usize, refused: u16) {
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::set(&origin, toml);
    assert_eq!(gateway.ask(request(limit)).text(), "fine", "{toml}");
    let answer = gateway.ask(request(limit + 1));
    assert_eq!(answer.status, refused, "{toml}");
    assert!(answer.text().contains(answer.id()), "{toml}");
    assert_eq!(origin.requests().len(), 1, "{toml}");
}

#[test]
fn a_head_has_so_many_bytes() {
    let request = |size: usize| {
        let bare = format!("GET / HTTP/1.1\r\n{HOST}X: \r\n\r\n").len();
        let value = "x".repeat(size - bare);
        format!("GET / HTTP/1.1\r\n{HOST}X: {value}\r\n\r\n")
    };
    both("server.limits.head = \"4KiB\"", request, 4096, 431);
}

#[test]
fn a_head_has_so_many_fields() {
    let request = |count: usize| {
        let others = "X: y\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\n{HOST}{others}\r\n")
    };
    both("server.limits.headers = 10", request, 10, 431);
    // More than are read without allocating.
    both("server.limits.headers = 150", request, 150, 431);
}

#[test]
fn a_target_has_so_many_bytes() {
    let request = |size: usize| {
        let path = "x".repeat(size - 1);
        format!("GET /{path} HTTP/1.1\r\n{HOST}\r\n")
    };
    both("server.limits.uri = \"1KiB\"", request, 1024, 414);
}

/// An app's answers whose heads are at a limit, and one past it.
fn both_of_the_app(toml: &str, head: impl Fn(usize) -> String, limit: usize) {
    for (size, passes) in [(limit, true), (limit + 1, false)] {
        let origin = Origin::answering(head(size) + "fine");
        let toml = format!("[upstreams.app]\nendpoints = [\"$ORIGIN\"]\n{toml}");
        let gateway = Gateway::configured(&origin, &toml);
        let answer = gateway.get("/", "");
        if passes {
            assert_eq!(answer.text(), "fine", "{toml}");
        } else {
            assert_eq!(answer.status, 502, "{toml}");
            assert_eq!(gateway.incident(answer.id()).cause, Cause::Malformed);
        }
    }
}

#[test]
fn an_answers_head_has_so_many_bytes_and_fields() {
    const LINES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n";
    let long = |size: usize| {
        let value = "x".repeat(size - format!("{LINES}X: \r\n\r\n").len());
        format!("{LINES}X: {value}\r\n\r\n")
    };
    both_of_the_app("max_head = \"4KiB\"", long, 4096);
    let many = |count: usize| format!("{LINES}{}\r\n", "X: y\r\n".repeat(count - 1));
    both_of_the_app("max_headers = 10", many, 10);
    both_of_the_app("max_headers = 150", many, 150);
}

#[test]
fn so_many_connections_are_open_at_once() {
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::set(&origin, "server.max_connections = 3");
    let request = format!("GET / HTTP/1.1\r\n{HOST}\r\n");
    let mut open: Vec<_> = (0..3).map(|_| gateway.connect()).collect();
    for client in &mut open {
        assert_eq!(client.ask(&request).text(), "fine");
    }
    let mut newest = gateway.connect();
    assert_eq!(newest.answer().status, 503);
    assert!(newest.is_closed());
    assert_eq!(open[0].ask(&request).text(), "fine", "others go on");
    open.pop();
    eventually("the next to be served", || {
        let mut next = gateway.connect();
        next.send(&request);
        next.try_answer().filter(|answer| answer.status == 200)
    });
}
