//! A request's head as HTTP/2 has it (RFC 9113, 8.3.1).

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Uri, Version};

use crate::upstream::http1::Head;

/// Makes a request of a head. `length` is its body's, where that is known.
///
/// # Errors
///
/// What of it HTTP/2 cannot say.
pub(super) fn request(
    head: &impl Head,
    scheme: Scheme,
    length: Option<u64>,
) -> Result<Request<()>, &'static str> {
    let (mut fields, mut host) = (HeaderMap::new(), None);
    head.fields(&mut |name, value| {
        let value = Bytes::from(value.concat());
        if name == HOST {
            host = Authority::from_maybe_shared(value).ok();
        } else if ![CONNECTION, TRANSFER_ENCODING, UPGRADE].contains(name)
            && let Ok(value) = HeaderValue::from_maybe_shared(value)
        {
            fields.append(name, value);
        }
    });
    if let Some(length) = length.filter(|length| *length > 0) {
        fields.insert(CONTENT_LENGTH, length.into());
    }
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(scheme);
    uri.authority = Some(host.ok_or("its Host is no `:authority`")?);
    uri.path_and_query = Some(target(head)?);
    let mut request = Request::new(());
    *request.method_mut() = head.method().clone();
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| "its target is none")?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = fields;
    Ok(request)
}

fn target(head: &impl Head) -> Result<PathAndQuery, &'static str> {
    let (path, query) = head.target();
    let written = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::try_from(written).map_err(|_| "its target is none")
}
