//! The verdict over an answer, and the capture of a failed one.
