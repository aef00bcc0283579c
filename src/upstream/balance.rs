//! How an endpoint is chosen among several. The stage's seat is here: the configuration refuses more than one
//! endpoint an upstream until it is built.
