//! How an endpoint's health is found. The stage's seat is here: with one endpoint there is nothing to choose.
