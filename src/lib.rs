//! Pardon: a reverse proxy that keeps an app's failures and shows visitors a calm page with a reference.
pub mod admin;
pub mod cli;
pub mod config;
pub mod demo;
pub mod gateway;
pub mod incident;
pub mod intercept;
pub mod page;
pub mod proxy;
pub mod request_id;
pub mod server;
pub mod telemetry;
pub mod upstream;
