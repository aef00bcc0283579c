//! The stage that listens: sockets in, requests with their `Peer` out. Knows nothing of proxying.
