//! One request ID everywhere: to the app, in the answer, on the page, in the record; unique, in the order of time, and
//! nothing that a client makes up.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

use pardon::request_id::{Lookup, RequestId};

use crate::support::{Client, Gateway, Origin};

/// IDs of the one peer that the tests have are believed.
const TRUSTING: &str =
    "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\nrequest_id.accept = \"trusted\"";

fn failing() -> Origin {
    Origin::saying(500, "Content-Type: text/html\r\n", "<h1>hunter2</h1>")
}

/// Whether this is an ID of ours, its check character right.
fn is_own(id: &str) -> bool {
    let groups: Vec<_> = id.split('-').map(str::len).collect();
    groups == [4, 4, 4, 4]
        && id
            .bytes()
            .all(|byte| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ-".contains(&byte))
        && matches!(RequestId::parse(id), Lookup::Exact(_))
}

fn ask(client: &mut Client) -> String {
    let answer = client.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    answer.id().to_owned()
}

/// Invariant 3.
#[test]
fn one_id_reaches_app_visitor_and_record() {
    let origin = failing();
    let gateway = Gateway::before(&origin);
    for (accept, status) in [
        ("text/html", 1),
        ("application/json", 2),
        ("application/xml", 3),
        ("text/plain", 4),
    ] {
        let answer = gateway.get("/", &format!("Accept: {accept}\r\n"));

        let id = answer.id();
        assert!(is_own(id), "{id}");
        assert!(answer.text().contains(id), "{accept}");
        let requests = origin.requests();
        assert_eq!(requests.len(), status);
        assert_eq!(requests[status - 1].header("x-request-id"), Some(id));
        let json = serde_json::to_value(gateway.incident(id)).unwrap();
        assert_eq!(json["id"], id);
    }
}

#[test]
fn a_passing_answer_carries_the_id_in_place_of_the_apps_own() {
    let origin = Origin::saying(
        200,
        "X-Request-Id: app-1\r\nX-Request-ID: app-2\r\n",
        "well",
    );
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", "");

    assert!(is_own(answer.id()));
    assert_eq!(origin.request().header("x-request-id"), Some(answer.id()));
}

#[test]
fn the_header_has_the_name_that_is_configured() {
    let origin = failing();
    let gateway = Gateway::set(
        &origin,
        "[server.request_id]\nheader = \"X-Correlation-ID\"",
    );

    let answer = gateway.get("/", "Accept: text/html\r\nX-Request-Id: theirs\r\n");

    let id = answer.header("x-correlation-id").unwrap();
    assert!(is_own(id) && answer.text().contains(id));
    assert_eq!(answer.header("x-request-id"), None);
    let request = origin.request();
    assert_eq!(request.header("x-correlation-id"), Some(id));
    assert_eq!(
        request.header("x-request-id"),
        Some("theirs"),
        "another field, and none of ours"
    );
}

/// Invariant 10: A.8 of the cases.
#[test]
fn an_id_of_a_stranger_is_replaced() {
    let origin = failing();
    for settings in [
        "",
        "[server.request_id]\naccept = \"trusted\"",
        "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]",
    ] {
        let gateway = Gateway::set(&origin, settings);

        let answer = gateway.get("/", "Accept: text/html\r\nX-Request-Id: stranger-1\r\n");

        assert!(is_own(answer.id()), "{settings}: {}", answer.id());
        assert!(!answer.text().contains("stranger-1"), "{settings}");
        assert!(
            !origin
                .requests()
                .last()
                .unwrap()
                .head
                .contains("stranger-1"),
            "{settings}"
        );
    }
}

/// Invariant 10.
#[test]
fn an_id_of_a_trusted_proxy_is_kept_where_it_is_safe() {
    let origin = failing();
    let gateway = Gateway::set(&origin, TRUSTING);
    let longest = "x".repeat(128);
    for id in [
        "a",
        "f0aa42ed-cd48-4012-87b3-e3344b9ddbdb",
        "Root.1_a-Z",
        longest.as_str(),
    ] {
        let answer = gateway.get("/", &format!("Accept: text/html\r\nX-Request-Id: {id}\r\n"));

        assert_eq!(answer.id(), id);
        assert!(answer.text().contains(id));
        assert_eq!(
            origin.requests().last().unwrap().header("x-request-id"),
            Some(id)
        );
        assert_eq!(gateway.incident(id).id.as_str(), id);
    }
}

/// Invariant 10: A.8 of the cases.
#[test]
fn a_hostile_id_is_replaced_even_from_a_trusted_proxy() {
    let origin = failing();
    let gateway = Gateway::set(&origin, TRUSTING);
    let long = "x".repeat(129);
    let endless = "x".repeat(4096);
    for hostile in [
        &b"<script>alert(1)</script>"[..],
        b"",
        b"a b",
        b"a\tb",
        b"a,b",
        b"a/../b",
        b"\"; drop table",
        b"{{ 7*7 }}",
        b"%0d%0aX-Own: 1",
        b"\xc3\xbcber",
        b"\xff\xfe",
        long.as_bytes(),
        endless.as_bytes(),
    ] {
        let mut request =
            b"GET / HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\nX-Request-Id: ".to_vec();
        request.extend_from_slice(hostile);
        request.extend_from_slice(b"\r\n\r\n");

        let answer = gateway.ask(request);

        let shown = String::from_utf8_lossy(hostile);
        assert_eq!(answer.status, 500, "{shown}");
        assert!(is_own(answer.id()), "{shown}: {}", answer.id());
        assert!(answer.text().contains(answer.id()));
        assert_eq!(
            origin.requests().last().unwrap().header("x-request-id"),
            Some(answer.id())
        );
    }
}

#[test]
fn of_two_foreign_ids_none_is_taken() {
    let origin = failing();
    let gateway = Gateway::set(&origin, TRUSTING);
    let answer = gateway.get("/", "X-Request-Id: first\r\nX-Request-Id: second\r\n");
    assert!(is_own(answer.id()), "{}", answer.id());
    assert_eq!(origin.request().headers("x-request-id"), [answer.id()]);
}

#[test]
fn one_foreign_id_may_stand_for_several_incidents() {
    let origin = failing();
    let gateway = Gateway::set(&origin, TRUSTING);
    for _ in 0..2 {
        gateway.get("/", "X-Request-Id: again\r\n");
    }
    let incidents = gateway.incidents();
    let ids: Vec<_> = incidents
        .iter()
        .map(|incident| incident.id.as_str())
        .collect();
    assert_eq!(ids, ["again", "again"]);
    assert!(incidents[0].seq > incidents[1].seq);
}

#[test]
fn a_person_may_type_an_id_as_they_read_it() {
    let origin = failing();
    let gateway = Gateway::before(&origin);

    let answer = gateway.get("/", "");

    let id = answer.id();
    for typed in [
        id.to_lowercase(),
        id.replace('-', ""),
        id.replace('-', " "),
        id.replace('0', "O").replace('1', "l"),
        format!("  {id}\n"),
    ] {
        assert_eq!(gateway.incident(&typed).id.as_str(), id, "{typed}");
    }
}

#[test]
fn ids_follow_the_order_of_time() {
    let origin = failing();
    let gateway = Gateway::before(&origin);
    // Two connections, so that both workers give IDs.
    let (mut one, mut other) = (gateway.connect(), gateway.connect());
    let ids: Vec<_> = (0..200)
        .flat_map(|_| [ask(&mut one), ask(&mut other)])
        .collect();
    let millis: Vec<_> = ids
        .iter()
        .map(|id| gateway.incident(id).time.as_millisecond())
        .collect();
    let mut steps = 0;
    for (ids, millis) in ids.windows(2).zip(millis.windows(2)) {
        if millis[0] < millis[1] {
            steps += 1;
            assert!(ids[0] < ids[1], "{ids:?} at {millis:?}");
        }
    }
    assert!(steps > 0, "time went on");
}

#[test]
fn no_id_is_given_twice() {
    let origin = Origin::saying(200, "", "");
    let gateway = Arc::new(Gateway::before(&origin));
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            thread::spawn(move || {
                let mut client = gateway.connect();
                (0..500).map(|_| ask(&mut client)).collect::<Vec<_>>()
            })
        })
        .collect();
    let ids: Vec<_> = askers
        .into_iter()
        .flat_map(|asker| asker.join().unwrap())
        .collect();
    assert_eq!(ids.len(), 4000);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4000);
    assert!(ids.iter().all(|id| is_own(id)));
    // At least 32 bits of an ID cannot be told from the moment: the last seven characters but one differ all over.
    let tails: HashSet<_> = ids.iter().map(|id| &id[12..18]).collect();
    assert!(tails.len() > 3900, "{} tails", tails.len());
}
