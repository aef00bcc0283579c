//! `[admin]`: the operator's listener.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Addresses to listen on; anything but loopback needs `token_file`. Empty: none.
    #[serde(with = "super::written::list")]
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<SocketAddr>,
    /// A file that holds the token asked for by everything but `/livez` and `/readyz`: one line of at least 16 characters.
    pub token_file: Option<PathBuf>,
    /// Whether to run without it where its address is taken: so where flags alone say what to run, and nobody has asked for it;
    /// not a key.
    #[serde(skip)]
    pub optional: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 9180))],
            token_file: None,
            optional: false,
        }
    }
}

/// The fewest characters of a token: what fewer hold can be guessed.
const SHORTEST: usize = 16;

/// The most bytes that are read of a token's file.
const LARGEST: u64 = 4096;

/// What everything but `/livez` and `/readyz` asks for. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a file holds no token.
#[derive(Debug)]
pub enum TokenProblem {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It holds nothing.
    Empty,
    /// It holds fewer characters than a token needs.
    Short,
    /// It holds what no `Authorization` field can, or more than one line.
    Strange,
}

impl Token {
    /// Reads a token: the one line of a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or what it holds is no token.
    pub fn read(file: &Path) -> Result<Self, TokenProblem> {
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(TokenProblem::Unreadable)?;
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Err(TokenProblem::Empty);
        }
        let strange = bytes.len() as u64 > LARGEST || !text.iter().all(u8::is_ascii_graphic);
        match str::from_utf8(text) {
            Ok(text) if !strange && text.len() < SHORTEST => Err(TokenProblem::Short),
            Ok(text) if !strange => Ok(Self(text.to_owned())),
            _ => Err(TokenProblem::Strange),
        }
    }

    /// The token itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TokenProblem {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "the user that Pardon runs as has to be able to read it",
            Self::Empty | Self::Short | Self::Strange => {
                "write a random one there: openssl rand -hex 32"
            }
        }
    }
}

impl fmt::Display for TokenProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Empty => f.write_str("it is empty"),
            Self::Short => write!(f, "its token is shorter than {SHORTEST} characters"),
            Self::Strange => f.write_str("it is not one line of visible ASCII without spaces"),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
