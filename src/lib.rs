//! Pardon: a reverse proxy that keeps an app's failures and shows visitors a calm page with a reference.
//!
//! The way of a request, which is also the order in which to read this crate:
//!
//! ```text
//! connection -> request -> route -> upstream -> answer -> verdict -> capture -> incident -> page
//! ```
//!
//! - [`server`] takes sockets and gives requests, each with its [`server::Peer`].
//! - [`proxy`] makes an exchange of a request, finds its route, and always returns a response.
//! - [`upstream`] sends it to the app and gives an answer or an [`upstream::UpstreamError`].
//! - [`intercept`] gives the verdict over that, and captures what is replaced.
//! - [`incident`] keeps what was captured under the request's ID.
//! - [`page`] makes what the visitor sees instead.
//!
//! Words, as they are used here and in names:
//!
//! - *app*: what stands behind; *upstream*: an app as the configuration names it; *endpoint*: where it listens.
//! - *peer*: the other end of a client's connection; *visitor*: the person there.
//! - *exchange*: a request and all that happens to it.
//! - *answer*: what the app sent; *failure*: an answer, or the lack of one, that a page takes the place of; *refusal*:
//!   a request that no app hears of.
//! - *verdict*: pass or replace; *capture*: the bounded copy of a replaced answer's body; *incident*: the record of a
//!   failure; *reference*: what a visitor calls the request ID.
//!
//! Beside the way stand [`config`], [`request_id`], [`bypass`], [`maintenance`], [`telemetry`], `http1` and `tls`, which every stage may use; [`admin`] and
//! [`demo`]; [`gateway`], which puts the parts of a running proxy together; and [`cli`].

// In reading order, which rustfmt would sort away within one group.
pub mod server;

pub mod proxy;

pub mod upstream;

pub mod intercept;

pub mod incident;

pub mod page;

mod http1;
mod tls;

pub mod bypass;
pub mod maintenance;

pub mod config;
pub mod request_id;
pub mod telemetry;

pub mod admin;
pub mod demo;

pub mod cli;
pub mod gateway;
