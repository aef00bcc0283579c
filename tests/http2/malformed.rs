//! Requests that are none, written by hand: each is refused, and nothing of it reaches the app.

use crate::support::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GET, HEADERS, Http2, Outcome, PREFACE,
    block, frame, request,
};
use crate::support::tls::{Authority, Visitor};
use crate::support::{Client, End, Folder, Gateway, Origin};

type Field<'a> = (&'a [u8], &'a [u8]);

const PROTOCOL_ERROR: u32 = 1;

fn usual() -> Vec<Field<'static>> {
    GET.iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect()
}

/// The usual request with one of its fields told otherwise.
fn told(name: &'static str, value: &'static [u8]) -> Vec<Field<'static>> {
    let mut fields = usual();
    for field in &mut fields {
        if field.0 == name.as_bytes() {
            field.1 = value;
        }
    }
    fields
}

/// The usual request with a further field.
fn with(name: &'static [u8], value: &'static [u8]) -> Vec<Field<'static>> {
    [usual(), vec![(name, value)]].concat()
}

fn without(name: &str) -> Vec<Field<'static>> {
    usual()
        .into_iter()
        .filter(|field| field.0 != name.as_bytes())
        .collect()
}

/// Each is refused: with 400 or with a reset, and the connection still serves.
fn refused(cases: &[Vec<Field<'static>>]) {
    let origin = Origin::saying(200, "", "");
    let gateway = Gateway::before(&origin);
    for case in cases {
        let shown: Vec<_> = case
            .iter()
            .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        let mut client = Frames::connect(gateway.address());
        client.head(1, case, true);
        let outcome = client.outcome(1);
        assert!(
            matches!(
                outcome,
                Outcome::Answered(400) | Outcome::Reset(PROTOCOL_ERROR) | Outcome::GoneAway(_)
            ),
            "{shown:?}: {outcome:?}"
        );
        assert!(origin.requests().is_empty(), "{shown:?} reached the app");
        if !matches!(outcome, Outcome::GoneAway(_)) {
            client.head(3, &with(b"x", b" y"), true);
            assert_eq!(client.outcome(3), Outcome::Answered(400), "after {shown:?}");
        }
    }
}

#[test]
fn fields_that_no_request_has() {
    let names: [&[u8]; 15] = [
        b"x\"",
        b"X-Upper",
        b"x y",
        b"x:y",
        b"x\r\ny",
        b"x\ny",
        b"x\0y",
        b"",
        b"x\xffy",
        b" x",
        b"x\t",
        b":unknown",
        b":status",
        b":",
        b"x\r",
    ];
    let values: [&[u8]; 8] = [
        b"a\r\nb: c",
        b"a\nb",
        b"a\rb",
        b"a\0b",
        b"a\x7f",
        b" a",
        b"a ",
        b"a\t",
    ];
    let mut cases: Vec<_> = names.iter().map(|name| with(name, b"x")).collect();
    cases.extend(values.iter().map(|value| with(b"x-any", value)));
    refused(&cases);
}

#[test]
fn fields_that_belong_to_a_connection() {
    refused(&[
        with(b"connection", b"close"),
        with(b"connection", b"x-any"),
        with(b"keep-alive", b"timeout=5"),
        with(b"proxy-connection", b"keep-alive"),
        with(b"transfer-encoding", b"chunked"),
        with(b"transfer-encoding", b"gzip, chunked"),
        with(b"upgrade", b"h2c"),
        with(b"te", b"gzip"),
        with(b"te", b"trailers, deflate"),
    ]);
}

#[test]
fn pseudo_fields_that_are_wrong() {
    let late = [with(b"x", b"y"), vec![(&b":path"[..], &b"/"[..])]].concat();
    let mut moved = without(":path");
    moved.extend([(&b"x"[..], &b"y"[..]), (b":path", b"/")]);
    refused(&[
        late,
        moved,
        with(b":path", b"/other"),
        with(b":method", b"POST"),
        with(b":authority", b"other.example"),
        with(b":scheme", b"https"),
        with(b":protocol", b"websocket"),
        without(":method"),
        without(":scheme"),
        without(":path"),
        without(":authority"),
    ]);
}

#[test]
fn targets_that_are_none() {
    let mut cases = Vec::new();
    let paths: [&[u8]; 14] = [
        b"",
        b"x",
        b"*",
        b"?a=b",
        b"http://other.example/",
        b"/a b",
        b"/a\r\nX: y",
        b"/a\nb",
        b"/a\0b",
        b"/a\x7f",
        b" /",
        b"/ HTTP/1.1",
        b"//\t",
        b"\\",
    ];
    cases.extend(paths.iter().map(|path| told(":path", path)));
    let authorities: [&[u8]; 12] = [
        b"",
        b"user@shop.example",
        b"user:word@shop.example",
        b"a b",
        b"a\r\nX: y",
        b"a/b",
        b"a:b:c",
        b"a:99999",
        b"a?b",
        b"a#b",
        b"[::1",
        b"a,b",
    ];
    cases.extend(
        authorities
            .iter()
            .map(|authority| told(":authority", authority)),
    );
    let methods: [&[u8]; 6] = [
        b"",
        b"G ET",
        b"GET\r\n",
        b"GET / HTTP/1.1\r\n",
        b"G\0T",
        b"G(T",
    ];
    cases.extend(methods.iter().map(|method| told(":method", method)));
    let schemes: [&[u8]; 5] = [
        b"ftp",
        b"",
        b"ht tp",
        b"http://other.example/?",
        b"javascript",
    ];
    cases.extend(schemes.iter().map(|scheme| told(":scheme", scheme)));
    refused(&cases);
}

#[test]
fn hosts_that_are_none() {
    let hosted = |hosts: &[&'static [u8]]| {
        let mut fields = without(":authority");
        fields.extend(hosts.iter().map(|host| (&b"host"[..], *host)));
        fields
    };
    refused(&[
        hosted(&[]),
        hosted(&[b"a", b"b"]),
        hosted(&[b"a", b"a"]),
        hosted(&[b"user@a"]),
        hosted(&[b"a b"]),
        hosted(&[b""]),
    ]);
}

#[test]
fn tunnels_to_elsewhere() {
    let connect = |fields: &[(&'static str, &'static str)]| -> Vec<Field<'static>> {
        let method = [(":method", "CONNECT")];
        let all = method.iter().chain(fields);
        all.map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect()
    };
    refused(&[
        connect(&[(":authority", "other.example:443")]),
        connect(&[
            (":authority", "other.example:443"),
            (":scheme", "http"),
            (":path", "/"),
        ]),
        connect(&[(":scheme", "http"), (":path", "/")]),
        connect(&[]),
    ]);
}

#[test]
fn lengths_that_lie() {
    let origin = Origin::on_head(|visit, head| {
        let received = visit.finish(head);
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        Some(received)
    });
    let gateway = Gateway::before(&origin);
    for (lengths, data, ends) in [
        (&["5"][..], &b""[..], true),
        (&["5"], b"hell", false),
        (&["5"], b"hello!", false),
        (&["5", "6"], b"hello", false),
        (&["+5"], b"hello", false),
        (&["0x5"], b"hello", false),
        (&["5, 6"], b"hello", false),
        (&["18446744073709551621"], b"hello", false),
        (&[""], b"hello", false),
        (&["-1"], b"hello", false),
        (&["0"], b"hello", false),
    ] {
        let mut fields = told(":method", b"POST");
        fields.extend(
            lengths
                .iter()
                .map(|length| (&b"content-length"[..], length.as_bytes())),
        );
        let mut client = Frames::connect(gateway.address());
        let mut bytes = frame(
            HEADERS,
            END_HEADERS | if ends { END_STREAM } else { 0 },
            1,
            &block(&fields),
        );
        if !ends {
            bytes.extend(frame(DATA, END_STREAM, 1, data));
        }
        client.write(&bytes);
        let outcome = client.outcome(1);
        assert!(
            matches!(
                outcome,
                Outcome::Answered(400) | Outcome::Reset(PROTOCOL_ERROR) | Outcome::GoneAway(_)
            ),
            "{lengths:?} {data:?}: {outcome:?}"
        );
    }
    assert!(
        origin.requests().is_empty(),
        "nothing reaches the app whole"
    );
}

#[test]
fn heads_past_their_limits() {
    let origin = Origin::saying(200, "", "");
    let gateway = Gateway::set(
        &origin,
        "[server.limits]\nhead = \"4KiB\"\nheaders = 10\nuri = \"1KiB\"\n",
    );
    let long = "x".repeat(5000);
    let many: Vec<_> = (0..11)
        .map(|at| (format!("x-{at}"), "y".to_owned()))
        .collect();
    let target = format!("/{}", "x".repeat(1024));
    for (path, fields, status) in [
        ("/", vec![("x-long".to_owned(), long.clone())], 431),
        ("/", many, 431),
        (target.as_str(), Vec::new(), 414),
        ("/", vec![("x-longest".to_owned(), long.repeat(10))], 431),
    ] {
        let mut all: Vec<(String, String)> = GET
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        all[2].1 = path.to_owned();
        all.extend(fields);
        let mut client = Frames::connect(gateway.address());
        let block = block(&all);
        let (first, rest) = block.split_at(block.len().min(16_000));
        let ends = if rest.is_empty() { END_HEADERS } else { 0 };
        client.send(HEADERS, END_STREAM | ends, 1, first);
        let mut pieces = rest.chunks(16_000).peekable();
        while let Some(piece) = pieces.next() {
            let ends = if pieces.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            client.send(CONTINUATION, ends, 1, piece);
        }
        let outcome = client.outcome(1);
        assert!(
            outcome == Outcome::Answered(status)
                || (block.len() > 16_000 && matches!(outcome, Outcome::GoneAway(_))),
            "{status}: {outcome:?}"
        );
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn a_refusal_is_a_page_with_an_id() {
    let origin = Origin::saying(200, "", "");
    let gateway = Gateway::before(&origin);
    let mut client = Http2::connect(gateway.address());
    let reply = client.ask(request("GET", "/", &[("x", " y")]), b"");
    // The client's own crate does not trim values.
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains(reply.header("x-request-id").unwrap()));
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_preface_without_settings_is_none() {
    let origin = Origin::saying(200, "", "");
    let gateway = Gateway::before(&origin);
    let mut client = Client::connect(gateway.address());
    let asking = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&GET));
    client.send([PREFACE, &asking].concat());
    assert!(matches!(client.end(), End::Close | End::Reset));
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_preface_is_none_after_a_request_nor_where_http1_was_agreed_on() {
    let origin = Origin::saying(200, "", "");
    let authority = Authority::new();
    let folder = Folder::new();
    let certificate = authority.certify(&["shop.example"]).write(&folder, "shop");
    let gateway = Gateway::set(
        &origin,
        &format!(
            "[server]\nlisten = [\"127.0.0.1:80\", \"tls://127.0.0.1:443\"]\ntls.certificates = [{certificate}]\n"
        ),
    );
    let mut client = Client::connect(gateway.addresses()[0]);
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert_eq!(client.ask(PREFACE).status, 400);
    let visitor = Visitor::trusting(&authority).offering(&["http/1.1"]);
    let secured = visitor.connect(gateway.addresses()[1], "shop.example");
    assert_eq!(Client::within(secured).ask(PREFACE).status, 400);
    let visitor = Visitor::trusting(&authority).offering(&["h2"]);
    let secured = visitor.connect(gateway.addresses()[1], "shop.example");
    let mut client = Client::within(secured);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // Settings, and then the end.
    client.read(9);
    assert_eq!(origin.requests().len(), 1);
}
