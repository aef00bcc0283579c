//! What hyper may read of an HTTP/1 connection. The stage's seat is here; hyper's own strictness rules until it is
//! built, and `proxy::screen` refuses what hyper lets through and two parsers could read in two ways.
