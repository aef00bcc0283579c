//! Floods: each is cut off or bounded, and others are served meanwhile.

use crate::support::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GET, HEADERS, Http2, Outcome, PING,
    PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::support::{Gateway, Origin};

const ENHANCE_YOUR_CALM: u32 = 11;

/// An app that answers when its connection is closed, so never.
fn silent() -> Origin {
    Origin::on_head(|visit, _| {
        visit.wait_for_close();
        None
    })
}

/// Sends until the connection ends, at most so often; whether it ended.
fn ends(client: &mut Frames, most: u32, mut bytes: impl FnMut(u32) -> Vec<u8>) -> bool {
    (0..most).any(|at| !client.write(&bytes(at)))
}

fn stream(at: u32) -> u32 {
    2 * at + 1
}

#[test]
fn rapid_resets_end_the_connection() {
    let origin = silent();
    let gateway = Gateway::set(
        &origin,
        "[server.limits]\nh2_resets = 50\nh2_streams = 20\n",
    );
    let mut client = Frames::connect(gateway.address());
    let get = block(&GET);
    let ended = ends(&mut client, 200_000, |at| {
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &get);
        [head, frame(RST_STREAM, 0, stream(at), &8_u32.to_be_bytes())].concat()
    });
    assert!(ended);
    assert!(origin.connections() <= 80, "{}", origin.connections());
    drop(client);
    let quick = Origin::saying(200, "", "");
    assert_eq!(
        Http2::connect(Gateway::before(&quick).address())
            .get("/")
            .status,
        200
    );
}

#[test]
fn resets_provoked_from_this_side_end_the_connection() {
    for (name, provoke) in [
        (
            "a window that overflows",
            frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
        ),
        (
            "a window opened by nothing",
            frame(WINDOW_UPDATE, 0, 0, &0_u32.to_be_bytes()),
        ),
        ("data after the end", frame(DATA, END_STREAM, 0, b"x")),
        (
            "a head after the end",
            frame(HEADERS, END_HEADERS | END_STREAM, 0, &block(&GET)),
        ),
        (
            "a stream that depends on itself",
            frame(PRIORITY, 0, 0, &[0; 4]),
        ),
    ] {
        let origin = silent();
        let gateway = Gateway::set(
            &origin,
            "[server.limits]\nh2_resets = 50\nh2_streams = 20\n",
        );
        let mut client = Frames::connect(gateway.address());
        let get = block(&GET);
        let ended = ends(&mut client, 200_000, |at| {
            let head = frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &get);
            let mut provoke = provoke.clone();
            provoke[5..9].copy_from_slice(&stream(at).to_be_bytes());
            [head, provoke].concat()
        });
        assert!(ended, "{name}");
        assert!(
            origin.connections() <= 100,
            "{name}: {}",
            origin.connections()
        );
    }
}

#[test]
fn heads_without_end_end_the_connection() {
    for piece in [&block(&[("x-long", "y".repeat(16_000))])[..], b""] {
        let origin = silent();
        let gateway = Gateway::before(&origin);
        let mut client = Frames::connect(gateway.address());
        client.send(HEADERS, 0, 1, &block(&GET));
        let ended = ends(&mut client, 1_000_000, |_| frame(CONTINUATION, 0, 1, piece));
        assert!(ended, "{} bytes a piece", piece.len());
        assert_eq!(origin.connections(), 0);
    }
}

#[test]
fn answers_that_nobody_reads_end_the_connection() {
    for (kind, payload) in [(PING, &[0; 8][..]), (SETTINGS, &[])] {
        let origin = silent();
        let gateway = Gateway::set(&origin, "[server.timeouts]\nwrite = \"300ms\"\n");
        let mut client = Frames::connect(gateway.address());
        let many = frame(kind, 0, 0, payload).repeat(1000);
        assert!(ends(&mut client, 100_000, |_| many.clone()), "{kind}");
    }
}

#[test]
fn empty_data_ends_the_connection() {
    let origin = silent();
    let gateway = Gateway::before(&origin);
    let mut client = Frames::connect(gateway.address());
    let mut post = GET;
    post[0].1 = "POST";
    client.head(1, &post, false);
    let many = frame(DATA, 0, 1, b"").repeat(100);
    assert!(ends(&mut client, 100_000, |_| many.clone()));
}

#[test]
fn a_table_of_fields_that_swells_is_refused() {
    let origin = silent();
    let gateway = Gateway::before(&origin);
    let mut client = Frames::connect(gateway.address());
    // One field is put into the table, then named sixteen thousand times.
    let mut bomb = block(&GET);
    bomb.extend([0x40, 1, b'x', 127, 0x81, 0x1e]);
    bomb.extend([b'y'; 4000]);
    bomb.truncate(bomb.len());
    bomb.extend([0xbe; 10_000]);
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &bomb);
    let outcome = client.outcome(1);
    assert!(
        matches!(
            outcome,
            Outcome::Answered(431) | Outcome::GoneAway(_) | Outcome::Reset(_)
        ),
        "{outcome:?}"
    );
    assert_eq!(origin.connections(), 0);
}

#[test]
fn streams_past_the_limit_are_refused() {
    let origin = silent();
    let gateway = Gateway::set(&origin, "[server.limits]\nh2_streams = 10\n");
    let mut client = Frames::connect(gateway.address());
    let get = block(&GET);
    let many: Vec<u8> = (0..2000)
        .flat_map(|at| frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &get))
        .collect();
    client.write(&many);
    let refused = client.outcome(stream(10));
    assert!(
        matches!(
            refused,
            Outcome::Reset(7) | Outcome::GoneAway(ENHANCE_YOUR_CALM)
        ),
        "{refused:?}"
    );
    assert!(origin.connections() <= 10);
}
