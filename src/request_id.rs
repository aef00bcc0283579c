//! The request ID: sixteen characters that a visitor can read out over the phone.
