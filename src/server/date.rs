//! What time it is, as answers say it.

use std::cell::{Ref, RefCell};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use tokio::time::Instant;

/// The `Date` field (RFC 9110, 6.6.1), written out once a second.
#[derive(Debug)]
pub(super) struct Date(RefCell<Option<Written>>);

#[derive(Debug)]
struct Written {
    line: String,
    value: HeaderValue,
    /// When it is not true any more.
    until: Instant,
}

impl Date {
    pub(super) fn new() -> Self {
        Self(RefCell::new(None))
    }

    /// Its line at this time, which is now.
    pub(super) fn line(&self, now: Instant) -> Ref<'_, str> {
        self.renew(now);
        Ref::map(self.0.borrow(), |written| {
            written.as_ref().map_or("", |written| &written.line)
        })
    }

    /// Its value at this time, which is now.
    pub(super) fn value(&self, now: Instant) -> Option<HeaderValue> {
        self.renew(now);
        let written = self.0.borrow();
        written.as_ref().map(|written| written.value.clone())
    }

    fn renew(&self, now: Instant) {
        if self
            .0
            .borrow()
            .as_ref()
            .is_none_or(|last| last.until <= now)
        {
            let time = SystemTime::now();
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            let into_second = since.map_or(0, |since| since.subsec_nanos());
            let text = httpdate::fmt_http_date(time);
            self.0.replace(Some(Written {
                line: format!("date: {text}\r\n"),
                // A date is ASCII, so it is a header value.
                value: HeaderValue::from_str(&text)
                    .unwrap_or_else(|_| HeaderValue::from_static("")),
                until: now + Duration::from_secs(1) - Duration::from_nanos(into_second.into()),
            }));
        }
    }
}
