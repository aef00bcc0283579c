//! `pardon demo`: every failure of its list does what the list says.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::thread;

use pardon::demo::{Failure, Outcome, failures};

use crate::support::{Answer, Client, End, Folder, Program, get};

/// A running demo, what it printed, and the address that it says to open.
fn demo(listen: &str) -> (Program, String, SocketAddr) {
    let folder = Folder::new();
    let mut command = folder.command(&["demo", "--listen", listen]);
    let mut program = Program::run(folder, command.stdout(Stdio::piped()));
    let printed = program.out_until("Ctrl-C ends it.");
    let opens = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("http://"));
    let address = opens.unwrap().trim_end_matches('/').parse().unwrap();
    (program, printed, address)
}

#[test]
fn it_prints_what_to_open_and_its_start_page_links_every_failure() {
    let (_program, printed, address) = demo("127.0.0.1:0");
    let page = Client::connect(address).ask(get("/", "Accept: text/html\r\n"));
    assert_eq!(page.status, 200);
    for failure in failures() {
        let command = failure.curl(&format!("http://{address}"));
        assert!(printed.contains(&command), "{command} in {printed}");
        let link = match failure.method {
            "POST" => format!("action=\"{}\"", failure.path),
            _ => format!("href=\"{}\"", failure.path),
        };
        assert!(page.text().contains(&link), "{link}");
    }
}

#[test]
fn a_taken_port_makes_it_take_a_free_one() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = taken.local_addr().unwrap();
    let (_program, _, address) = demo(&wanted.to_string());
    assert_ne!(address, wanted);
    assert_eq!(Client::connect(address).ask(get("/fine", "")).status, 200);
}

#[test]
fn every_failure_comes_out_as_the_list_says() {
    let (_program, _, address) = demo("127.0.0.1:0");
    thread::scope(|scope| {
        for failure in failures() {
            scope.spawn(move || provoke(address, failure));
        }
    });
}

fn provoke(address: SocketAddr, failure: &Failure) {
    let request = match failure.method {
        "POST" => format!(
            "POST {} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 14\r\n\r\narticle=teapot",
            failure.path
        ),
        _ => get(failure.path, "Accept: text/html\r\n"),
    };
    let mut client = Client::connect(address);
    client.send(request);
    let answer = if failure.path == "/stream" {
        // The first line of the stream is enough, the whole takes six seconds.
        let mut answer = client.head();
        answer.body = client.read(16);
        answer
    } else {
        client.answer()
    };
    let is_page = answer.text().contains(answer.id());
    let found = match answer.end {
        End::Whole if is_page => Outcome::Page(answer.status),
        End::Whole => Outcome::Passes(answer.status),
        End::Close | End::Cut | End::Reset => Outcome::BreaksOff,
    };
    assert_eq!(found, failure.outcome, "{}", failure.path);
    if is_page {
        assert_keeps_secrets(&answer, failure);
    }
}

fn assert_keeps_secrets(answer: &Answer, failure: &Failure) {
    let seen = format!("{} {:?} {}", answer.line, answer.headers, answer.text());
    for secret in failures().iter().filter_map(|failure| failure.secret) {
        assert!(!seen.contains(secret), "{}: {secret}", failure.path);
    }
}
