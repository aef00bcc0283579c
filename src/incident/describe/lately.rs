//! Failures of our own in words. While an app is dead the same one comes again and again: it is described once.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::{Description, describe};
use crate::incident::Cause;

/// How many are remembered: about one for each endpoint that is dead at a time.
const REMEMBERED: usize = 8;

thread_local! {
    /// The latest come last.
    static LATELY: RefCell<VecDeque<Told>> = const { RefCell::new(VecDeque::new()) };
}

struct Told {
    cause: Cause,
    route: String,
    error: Option<String>,
    description: Description,
}

/// What [`describe`] says of a failure without a body.
pub(in crate::incident) fn describe_own(
    cause: Cause,
    route: &str,
    error: Option<&str>,
) -> Description {
    LATELY.with_borrow_mut(|lately| {
        let same = |told: &&Told| {
            told.cause == cause && told.error.as_deref() == error && told.route == route
        };
        if let Some(told) = lately.iter().find(same) {
            return told.description.clone();
        }
        let description = describe(cause, route, None, &[], error);
        if lately.len() == REMEMBERED {
            lately.pop_front();
        }
        lately.push_back(Told {
            cause,
            route: route.to_owned(),
            error: error.map(str::to_owned),
            description: description.clone(),
        });
        description
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_would_be_said() {
        for _ in 0..2 {
            for number in 0..REMEMBERED + 3 {
                for (cause, route, error) in [
                    (
                        Cause::ConnectFailed,
                        "shop",
                        Some(format!("refused: {number}")),
                    ),
                    (
                        Cause::ConnectFailed,
                        "blog",
                        Some(format!("refused: {number}")),
                    ),
                    (Cause::BrokenOff, "shop", Some(format!("refused: {number}"))),
                    (Cause::BrokenOff, "shop", None),
                ] {
                    let error = error.as_deref();
                    let told = describe_own(cause, route, error);
                    assert_eq!(told, describe(cause, route, None, &[], error));
                    assert_eq!(told, describe_own(cause, route, error));
                }
            }
        }
    }
}
