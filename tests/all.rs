//! The promises of the README, one module each.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this binary is tests from end to end, and tests fail loudly; clippy sees only the functions marked as such"
)]

mod admin;
mod announced;
mod audit;
mod authorities;
mod balancing;
mod broken_off;
mod browser;
mod bypass;
mod capture;
mod commands;
mod demo;
mod describing;
mod differential;
mod disguise;
mod explain;
mod failures;
mod forwarding;
mod health;
mod http2;
mod http2_apps;
mod languages;
mod layout;
mod limits;
mod live_apps;
mod log;
mod lookup;
mod maintenance;
mod pages;
mod pairings;
mod parts;
mod passing;
mod policy;
mod pool;
mod preview;
mod real_input;
mod real_parts;
mod redaction;
mod refused;
mod reload;
mod replacing;
mod request_id;
mod shutdown;
mod slow_attacks;
mod smuggling;
mod sockets;
mod store;
mod streaming;
mod structure;
mod support;
mod tls;
mod traces;
mod upgrades;
