//! The scenarios that consist of rounds: who takes part, what is asked, and which bound Pardon is held to.

use crate::contender::{Peer, Setup};
use crate::load::Load;
use crate::rounds::Task;

/// What is measured under one name.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) setup: Setup,
    pub(crate) task: Task,
    /// The first is Pardon's line that the bounds are about.
    pub(crate) peers: &'static [Peer],
    pub(crate) bounds: &'static [Bound],
}

/// What Pardon's CPU time of a request may be, against the better of some peers.
pub(crate) struct Bound {
    /// The ratio's name.
    pub(crate) name: &'static str,
    pub(crate) reference: &'static [Peer],
    /// Without one the ratio is only told.
    pub(crate) most: Option<f64>,
}

/// Requests on kept connections.
const fn kept(connections: u32, path: &'static str, status: u16) -> Task {
    Task {
        load: Load::Requests {
            connections,
            close: false,
        },
        path,
        status,
    }
}

const fn bound(name: &'static str, reference: &'static [Peer], most: f64) -> Bound {
    Bound {
        name,
        reference,
        most: Some(most),
    }
}

/// A ratio that no bound was set for.
const fn beside(name: &'static str, reference: &'static [Peer]) -> Bound {
    Bound {
        name,
        reference,
        most: None,
    }
}

/// The two that Pardon has to be ahead of.
const BOTH: &[Peer] = &[Peer::Nginx, Peer::Haproxy];

/// Pardon that looks into passing answers, and one that does not.
const LOOKING: &[Peer] = &[Peer::Pardon, Peer::Blind];
/// What the second of these costs.
const BLIND: &[Peer] = &[Peer::Blind];

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "pass-1k-32",
        about: "1 KB answers on 32 connections",
        setup: Setup::Pass,
        task: kept(32, "/1k", 200),
        peers: &[
            Peer::Pardon,
            Peer::Nginx,
            Peer::Haproxy,
            Peer::Relay,
            Peer::Caddy,
        ],
        bounds: &[
            bound("pass-1k-32", BOTH, 1.0),
            bound("pass-1k-32-relay", &[Peer::Relay], 1.25),
        ],
    },
    Scenario {
        name: "pass-1k-256",
        about: "1 KB answers on 256 connections",
        setup: Setup::Pass,
        task: kept(256, "/1k", 200),
        peers: &[
            Peer::Pardon,
            Peer::Nginx,
            Peer::Haproxy,
            Peer::Relay,
            Peer::Caddy,
        ],
        bounds: &[
            bound("pass-1k-256", BOTH, 1.0),
            bound("pass-1k-256-relay", &[Peer::Relay], 1.25),
        ],
    },
    Scenario {
        name: "pass-tiny-close",
        about: "tiny answers, each request on a connection of its own",
        setup: Setup::Pass,
        task: Task {
            load: Load::Requests {
                connections: 32,
                close: true,
            },
            path: "/tiny",
            status: 200,
        },
        peers: &[Peer::Pardon, Peer::Nginx, Peer::Haproxy],
        bounds: &[bound("pass-tiny-close", BOTH, 1.0)],
    },
    Scenario {
        name: "pass-h2-tls",
        about: "1 KB answers by HTTP/2 over TLS, 32 connections of 8 streams",
        setup: Setup::Tls,
        task: Task {
            load: Load::Streams {
                connections: 32,
                streams: 8,
            },
            path: "/1k",
            status: 200,
        },
        peers: &[Peer::Pardon, Peer::Nginx, Peer::Haproxy],
        bounds: &[bound("pass-h2-tls", BOTH, 1.5)],
    },
    Scenario {
        name: "tls-handshakes",
        about: "a full handshake and a tiny answer, each on a connection of its own",
        setup: Setup::Tls,
        task: Task {
            load: Load::Handshakes,
            path: "/tiny",
            status: 200,
        },
        peers: &[Peer::Pardon, Peer::Nginx, Peer::Haproxy],
        bounds: &[bound("tls-handshakes", BOTH, 1.5)],
    },
    Scenario {
        name: "websocket",
        about: "an echo of 125 bytes through a tunnel, 32 at once",
        setup: Setup::Pass,
        task: Task {
            load: Load::Echo { tunnels: 32 },
            path: "/echo",
            status: 200,
        },
        peers: &[Peer::Pardon, Peer::Nginx, Peer::Haproxy],
        bounds: &[bound("websocket", BOTH, 1.5)],
    },
    Scenario {
        name: "look-10k",
        about: "a good page of HTML, 10 KB, looked into on its way and not",
        setup: Setup::Pass,
        task: kept(32, "/10k", 200),
        peers: LOOKING,
        bounds: &[bound("look-10k", BLIND, 1.1)],
    },
    Scenario {
        name: "look-10k-gzip",
        about: "the same, compressed",
        setup: Setup::Pass,
        task: kept(32, "/10k.gz", 200),
        peers: LOOKING,
        bounds: &[beside("look-10k-gzip", BLIND)],
    },
    Scenario {
        name: "look-1m",
        about: "a good page of HTML, 1 MB",
        setup: Setup::Pass,
        task: kept(32, "/1m", 200),
        peers: LOOKING,
        bounds: &[beside("look-1m", BLIND)],
    },
    Scenario {
        name: "look-1m-gzip",
        about: "the same, compressed",
        setup: Setup::Pass,
        task: kept(32, "/1m.gz", 200),
        peers: LOOKING,
        bounds: &[beside("look-1m-gzip", BLIND)],
    },
    Scenario {
        name: "replace-page",
        about: "8 KB failures become the page; nothing kept",
        setup: Setup::Page,
        task: kept(32, "/fail", 500),
        peers: &[Peer::Bare, Peer::Nginx, Peer::Haproxy, Peer::Caddy],
        bounds: &[bound("replace-page", &[Peer::Haproxy], 1.0)],
    },
    Scenario {
        name: "replace-keep",
        about: "8 KB failures, no two alike, become the page and are kept (nginx keeps nothing)",
        setup: Setup::Keep,
        task: kept(32, "/unlike", 500),
        peers: &[Peer::Pardon, Peer::Haproxy, Peer::HaproxyRaw, Peer::Nginx],
        bounds: &[
            bound("replace-keep", &[Peer::Haproxy], 0.45),
            beside("replace-keep-raw", &[Peer::HaproxyRaw]),
        ],
    },
    Scenario {
        name: "storm",
        about: "the app refuses connections: a 502 of the proxy's own, with the page",
        setup: Setup::Storm,
        task: kept(32, "/storm", 502),
        peers: &[Peer::Pardon, Peer::Bare, Peer::Nginx, Peer::Haproxy],
        bounds: &[bound("storm", BOTH, 1.0)],
    },
    Scenario {
        name: "download",
        about: "an answer of 1 GiB; CPU time for each GiB",
        setup: Setup::Pass,
        task: Task {
            load: Load::Download,
            path: "/gib",
            status: 200,
        },
        peers: &[Peer::Pardon, Peer::Nginx, Peer::Haproxy],
        bounds: &[bound("download", BOTH, 1.2)],
    },
    Scenario {
        name: "upload",
        about: "a request body of 1 GiB; CPU time for each GiB",
        setup: Setup::Pass,
        task: Task {
            load: Load::Upload,
            path: "/upload",
            status: 200,
        },
        peers: &[Peer::Pardon, Peer::Nginx, Peer::Haproxy],
        bounds: &[bound("upload", BOTH, 1.2)],
    },
];

/// What `--quick` measures.
pub(crate) const QUICK: [&str; 2] = ["pass-1k-32", "replace-keep"];
/// Who takes part in that.
pub(crate) const QUICK_PEERS: [Peer; 5] = [
    Peer::Pardon,
    Peer::Blind,
    Peer::Nginx,
    Peer::Haproxy,
    Peer::HaproxyRaw,
];
