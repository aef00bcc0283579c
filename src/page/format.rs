//! The formats that a page can have.

use http::HeaderValue;

/// The format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/html`
    Html,
    /// `application/problem+json` (RFC 9457)
    Json,
    /// `text/plain`
    Text,
    /// `application/problem+xml` (RFC 9457, appendix B)
    Xml,
    /// A gRPC answer that consists of trailers only; it has no template.
    Grpc,
}

impl Format {
    /// The formats that have templates, in the order of preference between equals.
    pub const TEMPLATED: [Self; 4] = [Self::Html, Self::Json, Self::Xml, Self::Text];

    /// The name that commands and records use: `html`, `json`, `text`, `xml`, `grpc`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Text => "text",
            Self::Xml => "xml",
            Self::Grpc => "grpc",
        }
    }

    /// The extension of a page that is written to a file, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            other => other.name(),
        }
    }

    /// How the names of its templates end.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Html => ".html.tera",
            Self::Json => ".json.tera",
            Self::Text => ".txt.tera",
            Self::Xml => ".xml.tera",
            Self::Grpc => ".grpc.tera",
        }
    }

    /// Its `Content-Type`.
    pub(super) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/problem+json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Xml => "application/problem+xml",
            Self::Grpc => "application/grpc",
        })
    }
}
