//! HTTP/2 towards visitors: the same exchanges as over HTTP/1.1, and what only this version can do wrong.

mod floods;
mod malformed;
pub mod pairings;
mod slowness;
pub mod tools;
mod tunnels;
