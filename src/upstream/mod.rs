//! The app behind: an exchange in, an answer or an `UpstreamError` out.
