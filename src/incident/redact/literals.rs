//! The literals that every built-in secret holds one of, and what each is a sign of.

use super::credential::Form;

/// What a literal is a sign of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sign {
    /// A part of a secret's name.
    Name,
    /// What comes before a URL's authority.
    Address,
    /// What comes behind a password in the addresses of Go's driver for `MySQL`.
    Before,
    /// A call that connects.
    Call,
    PrivateKey,
    WebToken,
    Bearer,
    Basic,
    Webhook,
    Token(&'static Form),
    /// A query key that is too common a word to be secret anywhere but in a URL, and there only if it is listed.
    Parameter(&'static str),
}

/// Beginnings or middles of words, in the ways that they are written: the first letter is left out where it is now small, now capital.
pub(super) const NAMES: [&[u8]; 36] = [
    b"pass",
    b"Pass",
    b"PASS",
    b"pwd",
    b"Pwd",
    b"PWD",
    b"_pw",
    b"_PW",
    b"ecret",
    b"ECRET",
    b"oken",
    b"OKEN",
    b"_key",
    b"_KEY",
    b"-key",
    b"-Key",
    b"Key",
    b"apikey",
    b"APIKEY",
    b"auth",
    b"Auth",
    b"AUTH",
    b"redential",
    b"REDENTIAL",
    b"creds",
    b"sess",
    b"Sess",
    b"SESS",
    b"ookie",
    b"OOKIE",
    b"sid=",
    b".sid",
    b"sid\"",
    b"sid'",
    b"_salt",
    b"_SALT",
];
pub(super) const OTHERS: [(&[u8], Sign); 24] = [
    (b"://", Sign::Address),
    (b":&#x2F;&#x2F;", Sign::Address),
    (b":&#47;&#47;", Sign::Address),
    (b":\\/\\/", Sign::Address),
    (b"%3A%2F%2F", Sign::Address),
    (b"%3a%2f%2f", Sign::Address),
    (b"@tcp(", Sign::Before),
    (b"@unix(", Sign::Before),
    (b"onnect(", Sign::Call),
    (b"nection(", Sign::Call),
    (b"PDO(", Sign::Call),
    (b"ysqli(", Sign::Call),
    (b"-----BEGIN", Sign::PrivateKey),
    (b"earer ", Sign::Bearer),
    (b"asic ", Sign::Basic),
    (b"hooks.slack.com/services/", Sign::Webhook),
    (b"eyJ", Sign::WebToken),
    (b"construct(", Sign::Call),
    (b"key=", Sign::Parameter("key")),
    (b"KEY=", Sign::Parameter("key")),
    (b"key%3D", Sign::Parameter("key")),
    (b"code=", Sign::Parameter("code")),
    (b"CODE=", Sign::Parameter("code")),
    (b"code%3D", Sign::Parameter("code")),
];

/// The query keys among them: those of the default configuration that are no names of secrets elsewhere.
pub(super) const PARAMETERS: [&str; 2] = ["key", "code"];
