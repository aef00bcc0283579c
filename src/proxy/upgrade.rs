//! Tunnels after a 101. The stage's seat is here: until it is built an `Upgrade` field stays behind, and an app that
//! switches protocols unasked is `malformed`.
