//! Why there is a page instead of an answer: in comes the failure as the proxy saw it, out come the words that fit it.

/// What happened, as far as a visitor's words depend on it. The page's text follows from this and the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notice {
    /// The app answered with a status that is intercepted, or with a failure in disguise.
    AppFailed,
    /// No connection to the app: nothing that a visitor sent has reached it.
    AppUnreachable,
    /// The app closed the connection or sent no proper answer; what a visitor sent may have been processed.
    AppBadAnswer,
    /// The app took the request and did not answer in time; what a visitor sent may have been processed.
    AppTooSlow,
    /// More requests than the app may be given; this one was not passed on.
    Busy,
    /// Planned work on the app; this request was not passed on.
    Maintenance,
    /// This process is ending and takes no new requests.
    Draining,
    /// A mistake of ours.
    Internal,
    /// The request was not passed on: bad, too large, too slow, or for no route.
    Refused,
}

/// Who failed, in a word that a support desk can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The app itself.
    App,
    /// What lies between the gateway and the app.
    Connection,
    /// Nobody: it is planned.
    Maintenance,
    /// The gateway: Pardon refused, was out of room, or failed.
    Gateway,
}

impl Notice {
    /// Every notice, in the order of the catalogue.
    pub const ALL: [Self; 9] = [
        Self::AppFailed,
        Self::AppUnreachable,
        Self::AppBadAnswer,
        Self::AppTooSlow,
        Self::Busy,
        Self::Maintenance,
        Self::Draining,
        Self::Internal,
        Self::Refused,
    ];

    /// Who failed.
    #[must_use]
    pub const fn layer(self) -> Layer {
        match self {
            Self::AppFailed | Self::AppTooSlow => Layer::App,
            Self::AppUnreachable | Self::AppBadAnswer => Layer::Connection,
            Self::Maintenance => Layer::Maintenance,
            Self::Busy | Self::Draining | Self::Internal | Self::Refused => Layer::Gateway,
        }
    }

    /// The name of the notice in a catalogue: `app_failed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AppFailed => "app_failed",
            Self::AppUnreachable => "app_unreachable",
            Self::AppBadAnswer => "app_bad_answer",
            Self::AppTooSlow => "app_too_slow",
            Self::Busy => "busy",
            Self::Maintenance => "maintenance",
            Self::Draining => "draining",
            Self::Internal => "internal",
            Self::Refused => "refused",
        }
    }
}

impl Layer {
    /// `app`, `connection`, `maintenance` or `gateway`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Connection => "connection",
            Self::Maintenance => "maintenance",
            Self::Gateway => "gateway",
        }
    }
}
