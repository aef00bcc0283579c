//! Connections to the app are used again where that is safe, and never more of them are open than may be.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use pardon::incident::Cause;
use socket2::{Domain, Socket, Type};

use crate::support::{Client, Gateway, Origin, Signal, Visit, eventually};

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
const POST: &str = "POST /order HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nbook";
const ONE_WORKER: &str = "[server]\nworkers = 1\n";

#[test]
fn one_connection_to_the_app_serves_many_clients() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::set(&origin, ONE_WORKER);
    let mut regular = gateway.connect();
    for _ in 0..10 {
        let answer = regular.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        assert_eq!(answer.text(), "fine");
        assert_eq!(gateway.ask(POST).text(), "fine");
    }
    assert_eq!(origin.requests().len(), 20);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_failure_leaves_its_connection_usable() {
    let origin = Origin::saying(500, "", &"long ".repeat(10_000));
    let gateway = Gateway::set(&origin, ONE_WORKER);
    for _ in 0..5 {
        assert_eq!(gateway.get("/", "").status, 500);
    }
    assert_eq!(origin.connections(), 1);
}

/// An app that accepts a connection, serves it until it is closed, and only then accepts the next, like `php -S`. It
/// notes when a further connection waits while it is asked something, which means that two are open at once.
struct OneAtATime {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
    crowded: Arc<AtomicBool>,
}

impl OneAtATime {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let app = Self {
            address: listener.local_addr().unwrap(),
            served: Arc::default(),
            crowded: Arc::default(),
        };
        let (served, crowded) = (Arc::clone(&app.served), Arc::clone(&app.crowded));
        thread::spawn(move || {
            let mut waiting = None;
            while let Ok(stream) = waiting.take().map_or_else(|| accept(&listener), Ok) {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|size| size > 0) {
                    if line == "\r\n" {
                        if let Some(next) = accept_at_once(&listener) {
                            crowded.store(true, Ordering::SeqCst);
                            waiting = Some(next);
                        }
                        served.fetch_add(1, Ordering::SeqCst);
                        drop(stream.get_mut().write_all(FINE.as_bytes()));
                    }
                    line.clear();
                }
            }
        });
        app
    }
}

fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    listener.set_nonblocking(false)?;
    Ok(listener.accept()?.0)
}

fn accept_at_once(listener: &TcpListener) -> Option<TcpStream> {
    listener.set_nonblocking(true).unwrap();
    let accepted = listener.accept();
    let nobody = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
    assert!(accepted.as_ref().err().is_none_or(nobody), "{accepted:?}");
    let stream = accepted.ok()?.0;
    stream.set_nonblocking(false).unwrap();
    Some(stream)
}

#[test]
fn an_app_that_serves_one_connection_at_a_time_serves_all_workers() {
    for workers in [1, 2, 4] {
        let app = OneAtATime::new();
        let toml = format!(
            "server.workers = {workers}\n[upstreams.app]\nendpoints = [\"http://{}\"]\nmax_connections = 1\n",
            app.address
        );
        let gateway = Gateway::configured(&Origin::answering(""), &toml);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        assert_eq!(gateway.get("/", "").text(), "fine", "{workers} workers");
                    }
                });
            }
        });
        assert_eq!(app.served.load(Ordering::SeqCst), 160);
        assert!(
            !app.crowded.load(Ordering::SeqCst),
            "{workers} workers: one connection only"
        );
    }
}

/// An app that answers a `/meet` when so many of them are there at once, and everything else at once.
fn meeting(seats: usize) -> Origin {
    let meet = Barrier::new(seats);
    Origin::new(move |visit, received| {
        if received.line().contains("/meet") {
            meet.wait();
        }
        visit.send(FINE);
    })
}

/// Has all clients ask for a meeting; each has to be answered.
fn meet(clients: &mut [Client]) {
    for client in &mut *clients {
        client.send("GET /meet HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    }
    for client in clients {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn waiting_requests_get_the_idle_connections_of_another_worker() {
    const SEATS: usize = 8;
    let origin = meeting(SEATS);
    let toml = format!(
        "server.workers = 2\n[upstreams.app]\nendpoints = [\"$ORIGIN\"]\nmax_connections = {SEATS}\n"
    );
    let gateway = Gateway::configured(&origin, &toml);
    // A worker uses its own connection again: so that tells whose a client is.
    let mut workers = [Vec::new(), Vec::new()];
    for _ in 0..2 * SEATS {
        let mut client = gateway.connect();
        client.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        let connection = origin.requests().pop().unwrap().connection;
        workers[connection - 1].push(client);
    }
    let [one, other] = &mut workers;
    assert_eq!(
        (one.len(), other.len()),
        (SEATS, SEATS),
        "workers share evenly"
    );
    for _ in 0..5 {
        meet(one);
        meet(other);
    }
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let origin = Origin::answering(FINE);
    let gateway = Gateway::set(&origin, "[upstreams.app.timeouts]\nidle = \"100ms\"\n");
    assert_eq!(gateway.get("/", "").text(), "fine");
    eventually("the idle connection's end", || {
        (origin.open() == 0).then_some(())
    });
    assert_eq!(gateway.get("/", "").text(), "fine");
    assert_eq!(origin.connections(), 2);
}

#[expect(
    dead_code,
    unreachable_pub,
    reason = "a program too, which the same run on a larger scale is for"
)]
#[path = "../examples/stale.rs"]
mod stale;

#[test]
fn no_visitor_notices_that_the_app_closes_idle_connections_as_it_likes() {
    let report = stale::run(2_000, 7);
    assert_eq!(report.errors, 0, "{report}");
    assert!(report.closed > 100, "{report}");
}

/// An app that leaves without a word when it is asked something for the second time on one connection.
fn leaving_on_the_second() -> Origin {
    let asked = Mutex::new(HashMap::<usize, usize>::new());
    Origin::new(move |visit: &mut Visit, _| {
        let mut asked = asked.lock().unwrap();
        let times = asked.entry(visit.connection).or_default();
        *times += 1;
        if *times == 1 {
            visit.send(FINE);
        } else {
            visit.close();
        }
    })
}

#[test]
fn a_connection_that_the_app_has_just_closed_is_no_failure_for_what_may_be_repeated() {
    let origin = leaving_on_the_second();
    let gateway = Gateway::set(&origin, ONE_WORKER);
    for _ in 0..5 {
        assert_eq!(gateway.get("/", "").text(), "fine");
    }
    assert!(gateway.incidents().is_empty());
    assert_eq!(origin.connections(), 5);
}

#[test]
fn what_may_not_be_repeated_is_never_sent_twice() {
    // A PUT may be repeated, but its body has left and is not kept.
    for request in [POST.to_owned(), POST.replace("POST", "PUT")] {
        let origin = leaving_on_the_second();
        let gateway = Gateway::set(&origin, ONE_WORKER);
        assert_eq!(gateway.ask(&request).text(), "fine");
        let answer = gateway.ask(&request);
        assert_eq!(answer.status, 502, "{request}");
        assert_eq!(origin.requests().len(), 2, "each was sent once: {request}");
        let incident = gateway.incident(answer.id());
        assert_eq!(incident.cause, Cause::ClosedEarly);
        assert_eq!(incident.upstream.as_ref().unwrap().attempts, 1, "{request}");
    }
}

#[test]
fn what_may_not_be_repeated_goes_out_on_a_fresh_connection() {
    let origin = Origin::answering(FINE);
    let toml =
        "server.workers = 1\n[upstreams.app]\nendpoints = [\"$ORIGIN\"]\nmax_connections = 1\n";
    let gateway = Gateway::configured(&origin, toml);
    assert_eq!(gateway.get("/", "").text(), "fine");
    let since = Instant::now();
    let old = Duration::from_millis(1010);
    eventually("the connection to grow old", || {
        (since.elapsed() > old).then_some(())
    });
    assert_eq!(gateway.get("/", "").text(), "fine");
    assert_eq!(
        origin.connections(),
        1,
        "what may be repeated uses the old one"
    );
    let since = Instant::now();
    eventually("the connection to grow old", || {
        (since.elapsed() > old).then_some(())
    });
    assert_eq!(gateway.ask(POST).text(), "fine");
    assert_eq!(origin.connections(), 2, "what may not gets a new one");
}

#[test]
fn an_app_that_comes_back_is_used_at_once() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let gateway = Gateway::at(&format!("http://{address}"), "");
    for _ in 0..20 {
        assert_eq!(gateway.get("/", "").status, 502);
    }
    socket.listen(16).unwrap();
    let _origin = Origin::on_listener(socket.into(), |visit, head| {
        let received = visit.finish(head);
        visit.send(FINE);
        Some(received)
    });
    assert_eq!(gateway.get("/", "").text(), "fine");
}

/// An app that does to a request what its path says.
fn moody(seats: usize) -> Origin {
    let meet = Barrier::new(seats);
    Origin::new(
        move |visit, received| match received.line().split(' ').nth(1).unwrap() {
            "/close" => visit.close(),
            "/reset" => visit.reset(),
            "/garbage" => visit.send("hunter2\r\n"),
            "/silent" => visit.wait_for_close(),
            "/cut" => {
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut");
                visit.close();
            }
            "/hang" => {
                visit.send("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\ncut");
                visit.wait_for_close();
            }
            "/meet" => {
                meet.wait();
                visit.send(FINE);
            }
            _ => visit.send(FINE),
        },
    )
}

const STORM: &str = r#"
    [server]
    workers = 3
    [upstreams.app]
    endpoints = ["$ORIGIN"]
    max_connections = 6
    queue = 8
    [[routes]]
    name = "patient"
    path = "/meet"
    [[routes]]
    name = "hasty"
    [routes.timeouts]
    head = "60ms"
    body = "60ms"
    queue = "30ms"
    [routes.intercept.capture]
    hold = "10ms"
    deadline = "60ms"
"#;

#[test]
fn after_a_storm_of_failures_all_connections_can_be_had_again() {
    let moods = [
        "/fine", "/close", "/reset", "/garbage", "/silent", "/cut", "/hang",
    ];
    let origin = moody(6);
    let gateway = Gateway::configured(&origin, STORM);
    thread::scope(|scope| {
        for thread in 0..12 {
            let gateway = &gateway;
            scope.spawn(move || {
                for number in 0..28 {
                    let mood = moods[(thread + number) % moods.len()];
                    let mut client = gateway.connect();
                    client.send(format!("GET {mood} HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
                    // A third of them leave without having seen a byte.
                    if (thread + number) % 3 > 0 {
                        client.head();
                    }
                }
            });
        }
    });
    let mut clients: Vec<_> = (0..6).map(|_| gateway.connect()).collect();
    meet(&mut clients);
}

#[test]
fn a_visitor_who_leaves_takes_the_request_back() {
    let arrived = Signal::default();
    let told = arrived.clone();
    let origin = Origin::new(move |visit, _| {
        told.give();
        visit.wait_for_close();
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    arrived.wait();
    drop(client);
    eventually("the app to be left alone", || {
        (origin.open() == 0).then_some(())
    });
    assert!(
        gateway.incidents().is_empty(),
        "a visitor who leaves is no failure"
    );
}
