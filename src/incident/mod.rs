//! What is kept of a failure: the record, where it is kept, and what is taken out of it first.
