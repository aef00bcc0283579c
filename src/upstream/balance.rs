//! Which endpoint a request goes to: in come the endpoints as a worker sees them, out goes one of them.
//!
//! No endpoint whose health checks fail, or with a weight of 0, is chosen. One that is ejected is chosen for the request
//! that asks whether it is back, and by the panic rule: where more than half would be out, none is. An app that is down is
//! asked on, and found again with the first request after its return.

use std::cell::{Cell, Ref, RefCell};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::Upstream;
use super::endpoint::Endpoint;
use super::refusals::Refusals;
use crate::config::Balance;

/// An endpoint as a worker sees it.
#[derive(Debug)]
pub struct Seat {
    pub(super) endpoint: Arc<Endpoint>,
    worker: usize,
    /// Its standing in the round: who has the highest is next.
    turn: Cell<i64>,
    /// The connections that it has refused lately.
    pub(super) refusals: RefCell<Refusals>,
}

/// A worker's seats for one upstream.
#[derive(Debug)]
pub(super) struct Seats {
    worker: usize,
    /// That of the roster when the list was made.
    generation: Cell<u64>,
    list: RefCell<Vec<Rc<Seat>>>,
    chance: Chance,
}

/// An exchange under way, or its connection being made; over when it is dropped.
#[derive(Debug)]
pub(super) struct Busy(Rc<Seat>);

/// Numbers by chance, good enough to spread requests (`SplitMix64`).
#[derive(Debug)]
struct Chance(Cell<u64>);

impl Seat {
    /// As records show it.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.endpoint.name
    }

    /// An exchange begins.
    pub(super) fn begin(&self) {
        self.endpoint.begin(self.worker);
    }

    /// An exchange is over.
    pub(super) fn end(&self) {
        self.endpoint.end(self.worker);
    }

    /// An exchange, or its connection being made, from now until what is given is dropped.
    pub(super) fn busy(self: &Rc<Self>) -> Busy {
        self.begin();
        Busy(Rc::clone(self))
    }

    fn weight(&self) -> u32 {
        self.endpoint.weight
    }

    /// Exchanges under way, to be compared with [`is_less`].
    fn load(&self) -> (u64, u64) {
        (self.endpoint.under_way() as u64, self.weight().into())
    }

    /// Whether requests may go there at all.
    fn is_open(&self) -> bool {
        self.weight() > 0 && !self.endpoint.health.is_sick()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Seats {
    pub(super) fn new(worker: usize) -> Self {
        Self {
            worker,
            generation: Cell::new(0),
            list: RefCell::default(),
            chance: Chance(Cell::new(RandomState::new().hash_one(worker))),
        }
    }

    /// Takes the endpoints as they are now; whether some may have left.
    pub(super) fn renew(&self, upstream: &Upstream) -> bool {
        let generation = upstream.roster.generation();
        if self.generation.replace(generation) == generation {
            return false;
        }
        let mut list = self.list.borrow_mut();
        let endpoints = upstream.roster.endpoints();
        let seat = |endpoint: &Arc<Endpoint>| {
            let known = list
                .iter()
                .find(|seat| Arc::ptr_eq(&seat.endpoint, endpoint));
            known.cloned().unwrap_or_else(|| self.seat(endpoint))
        };
        let renewed = endpoints.iter().map(seat).collect();
        *list = renewed;
        true
    }

    fn seat(&self, endpoint: &Arc<Endpoint>) -> Rc<Seat> {
        Rc::new(Seat {
            endpoint: Arc::clone(endpoint),
            worker: self.worker,
            turn: Cell::new(0),
            refusals: RefCell::default(),
        })
    }

    /// Where a request goes that had no luck with those in `tried`; nowhere where no endpoint is open.
    pub(super) fn pick(
        &self,
        upstream: &Upstream,
        tried: &[Rc<Seat>],
        now: Instant,
    ) -> Option<Rc<Seat>> {
        let list = self.list.borrow();
        match list.as_slice() {
            [only] => only.is_open().then(|| Rc::clone(only)),
            _ => self.pick_of_many(&list, upstream, tried, now).cloned(),
        }
    }

    fn pick_of_many<'a>(
        &self,
        list: &'a [Rc<Seat>],
        upstream: &Upstream,
        tried: &[Rc<Seat>],
        now: Instant,
    ) -> Option<&'a Rc<Seat>> {
        let open = || list.iter().filter(|seat| seat.is_open());
        let fresh = |seat: &&Rc<Seat>| !tried.iter().any(|tried| Rc::ptr_eq(tried, seat));
        let panic = is_panic(open());
        let millis = upstream.millis(now);
        let asks = |seat: &&Rc<Seat>| !panic && seat.endpoint.health.may_ask(millis);
        // Whoever has failed once already does not ask for others.
        let again = !tried.is_empty();
        if !again && let Some(asked) = open().find(asks) {
            return Some(asked);
        }
        let in_use = |seat: &&Rc<Seat>| panic || !seat.endpoint.health.is_out();
        let answers = |seat: &&Rc<Seat>| seat.refusals.borrow().answer().is_none();
        let sound = |seat: &&Rc<Seat>| again && seat.endpoint.health.failures() == 0;
        let balance = upstream.balance;
        let best = open().filter(in_use).filter(fresh).filter(answers);
        self.choose(balance, best.clone().filter(sound))
            .or_else(|| self.choose(balance, best))
            // One that is out is a better bet than one that has just failed.
            .or_else(|| self.choose(balance, open().filter(fresh)))
            .or_else(|| self.choose(balance, open().filter(in_use)))
            .or_else(|| self.choose(balance, open()))
    }

    fn choose<'a>(
        &self,
        balance: Balance,
        seats: impl Iterator<Item = &'a Rc<Seat>> + Clone,
    ) -> Option<&'a Rc<Seat>> {
        match balance {
            Balance::RoundRobin => in_turn(seats),
            Balance::LeastRequests => least(seats),
            Balance::RandomTwo => self.chance.of_two(seats),
        }
    }

    /// Whether a request that waits goes rather to another endpoint than to this one, which has just become free: that
    /// has fewer under way for its weight.
    pub(super) fn is_wanted_elsewhere(&self, freed: &Rc<Seat>) -> bool {
        let list = self.list.borrow();
        if list.len() < 2 {
            return false;
        }
        let open = || list.iter().filter(|seat| seat.is_open());
        let panic = is_panic(open());
        let load = freed.load();
        let others = open().filter(|seat| panic || !seat.endpoint.health.is_out());
        !freed.is_open() || others.into_iter().any(|seat| is_less(seat.load(), load))
    }

    /// The other addresses of the same name, those that are in first.
    pub(super) fn siblings(&self, of: &Rc<Seat>) -> Vec<Rc<Seat>> {
        let list: Ref<'_, Vec<Rc<Seat>>> = self.list.borrow();
        let sibling =
            |seat: &&Rc<Seat>| seat.endpoint.site == of.endpoint.site && !Rc::ptr_eq(seat, of);
        let open = list.iter().filter(sibling).filter(|seat| seat.is_open());
        let mut siblings: Vec<_> = open.cloned().collect();
        siblings.sort_by_key(|seat| seat.endpoint.health.is_out());
        siblings
    }
}

/// Whether more than half of these are ejected.
fn is_panic<'a>(seats: impl Iterator<Item = &'a Rc<Seat>>) -> bool {
    let (mut out, mut all) = (0, 0);
    for seat in seats {
        out += usize::from(seat.endpoint.health.is_out());
        all += 1;
    }
    2 * out > all
}

/// Whether one load is less than another, each for its weight.
fn is_less((count, weight): (u64, u64), (other, others): (u64, u64)) -> bool {
    count * others < other * weight
}

/// Each as often as its weight says, and never many times in a row (smooth weighted round-robin).
fn in_turn<'a>(seats: impl Iterator<Item = &'a Rc<Seat>>) -> Option<&'a Rc<Seat>> {
    let (mut next, mut round): (Option<&Rc<Seat>>, i64) = (None, 0);
    for seat in seats {
        let weight = i64::from(seat.weight());
        seat.turn.set(seat.turn.get() + weight);
        round += weight;
        if next.is_none_or(|next| seat.turn.get() > next.turn.get()) {
            next = Some(seat);
        }
    }
    let next = next?;
    next.turn.set(next.turn.get() - round);
    Some(next)
}

/// The one with the fewest under way for its weight; among equals the next in turn.
fn least<'a>(seats: impl Iterator<Item = &'a Rc<Seat>> + Clone) -> Option<&'a Rc<Seat>> {
    let loads = seats.clone().map(|seat| seat.load());
    let least = loads.reduce(|least, load| if is_less(load, least) { load } else { least })?;
    // What changes meanwhile changes by other workers' hands: then any of them will do.
    let equals = seats.clone().filter(|seat| !is_less(least, seat.load()));
    in_turn(equals).or_else(|| in_turn(seats))
}

impl Chance {
    fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One, each with the chance that its weight gives it.
    fn draw<'a>(
        &self,
        mut seats: impl Iterator<Item = &'a Rc<Seat>> + Clone,
    ) -> Option<&'a Rc<Seat>> {
        let all: u64 = seats.clone().map(|seat| u64::from(seat.weight())).sum();
        let mut drawn = self.next().checked_rem(all)?;
        seats.find(|seat| {
            let weight = u64::from(seat.weight());
            let found = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            found
        })
    }

    /// The less busy of two that are drawn.
    fn of_two<'a>(
        &self,
        seats: impl Iterator<Item = &'a Rc<Seat>> + Clone,
    ) -> Option<&'a Rc<Seat>> {
        let first = self.draw(seats.clone())?;
        let second = self.draw(seats.filter(|seat| !Rc::ptr_eq(seat, first)));
        let less = second.filter(|second| is_less(second.load(), first.load()));
        Some(less.unwrap_or(first))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn upstream(balance: Balance, weights: &[u32]) -> Upstream {
        let endpoint = |(at, weight): (usize, &u32)| config::Endpoint {
            weight: *weight,
            ..format!("http://10.0.0.{at}:80").parse().unwrap()
        };
        let settings = config::Upstream {
            endpoints: weights.iter().enumerate().map(endpoint).collect(),
            balance,
            ..config::Upstream::default()
        };
        Upstream::build("app", &settings, Path::new(""), 1).unwrap()
    }

    fn seats(upstream: &Upstream) -> Seats {
        let seats = Seats::new(0);
        seats.renew(upstream);
        seats
    }

    /// The places in the file of those that so many requests in a row go to.
    fn picks(seats: &Seats, upstream: &Upstream, count: usize) -> Vec<usize> {
        let pick = |_| seats.pick(upstream, &[], Instant::now()).unwrap();
        (0..count)
            .map(pick)
            .map(|seat| seat.endpoint.site)
            .collect()
    }

    fn eject(seats: &Seats, at: usize) {
        for _ in 0..5 {
            seats.list.borrow()[at].endpoint.health.failed(5, 0, 0.0);
        }
    }

    #[test]
    fn round_robin_is_smooth_and_weighted() {
        let upstream = upstream(Balance::RoundRobin, &[3, 1, 0, 1]);
        let seats = seats(&upstream);
        assert_eq!(picks(&seats, &upstream, 10), [0, 1, 0, 3, 0, 0, 1, 0, 3, 0]);
    }

    #[test]
    fn least_requests_goes_by_what_is_under_way_for_the_weight() {
        let upstream = upstream(Balance::LeastRequests, &[2, 1]);
        let seats = seats(&upstream);
        let mut under_way = Vec::new();
        let mut order = Vec::new();
        for _ in 0..6 {
            let seat = seats.pick(&upstream, &[], Instant::now()).unwrap();
            order.push(seat.endpoint.site);
            under_way.push(seat.busy());
        }
        assert_eq!(order.iter().filter(|at| **at == 0).count(), 4, "{order:?}");
        // All that is under way is on the first now.
        under_way.retain(|busy| busy.0.endpoint.site == 0);
        assert_eq!(picks(&seats, &upstream, 3), [1, 1, 1]);
        drop(under_way);
        let idle = picks(&seats, &upstream, 3);
        assert_eq!(idle.iter().filter(|at| **at == 0).count(), 2, "{idle:?}");
    }

    #[test]
    fn random_two_takes_the_less_busy() {
        let upstream = upstream(Balance::RandomTwo, &[1, 1, 1]);
        let seats = seats(&upstream);
        let busy: Vec<_> = (0..2).map(|at| seats.list.borrow()[at].busy()).collect();
        let picked = picks(&seats, &upstream, 300);
        let count = |wanted| picked.iter().filter(|at| **at == wanted).count();
        // Only where the idle one is not drawn, a third of the times, goes a request to the others.
        assert!(
            count(2) > 150 && count(0) > 10 && count(1) > 10,
            "{picked:?}"
        );
        drop(busy);
    }

    #[test]
    fn another_attempt_goes_elsewhere() {
        for balance in [
            Balance::RoundRobin,
            Balance::LeastRequests,
            Balance::RandomTwo,
        ] {
            let upstream = upstream(balance, &[1, 1]);
            let seats = seats(&upstream);
            for _ in 0..20 {
                let first = seats.pick(&upstream, &[], Instant::now()).unwrap();
                let tried = [Rc::clone(&first)];
                let second = seats.pick(&upstream, &tried, Instant::now()).unwrap();
                assert!(!Rc::ptr_eq(&first, &second));
                let both = [first, second];
                assert!(seats.pick(&upstream, &both, Instant::now()).is_some());
            }
        }
    }

    #[test]
    fn another_attempt_prefers_an_endpoint_that_has_not_failed_and_asks_for_nobody() {
        let upstream = upstream(Balance::RoundRobin, &[1, 1, 1, 1]);
        let seats = seats(&upstream);
        let list = seats.list.borrow().clone();
        list[1].endpoint.health.failed(5, 0, 0.0);
        eject(&seats, 2);
        let later = Instant::now() + std::time::Duration::from_secs(2);
        let again = || {
            seats
                .pick(&upstream, &list[..1], later)
                .unwrap()
                .endpoint
                .site
        };
        assert_eq!([again(), again(), again()], [3, 3, 3]);
        let pick = |tried| seats.pick(&upstream, tried, later).unwrap().endpoint.site;
        assert_eq!(pick(&[]), 2, "a first attempt asks");
    }

    #[test]
    fn an_ejected_one_is_left_alone_and_asked_once_after_its_pause() {
        let upstream = upstream(Balance::RoundRobin, &[1, 1]);
        let seats = seats(&upstream);
        eject(&seats, 0);
        assert_eq!(picks(&seats, &upstream, 4), [1, 1, 1, 1]);
        let later = Instant::now() + std::time::Duration::from_secs(2);
        let pick = || seats.pick(&upstream, &[], later).unwrap().endpoint.site;
        assert_eq!([pick(), pick(), pick()], [0, 1, 1]);
    }

    #[test]
    fn where_more_than_half_would_be_out_none_is() {
        let upstream = upstream(Balance::RoundRobin, &[1, 1, 1, 1]);
        let seats = seats(&upstream);
        eject(&seats, 0);
        eject(&seats, 1);
        assert_eq!(picks(&seats, &upstream, 4), [2, 3, 2, 3]);
        eject(&seats, 2);
        let mut all = picks(&seats, &upstream, 4);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }

    #[test]
    fn what_health_checks_say_holds() {
        let upstream = upstream(Balance::LeastRequests, &[1, 1]);
        let seats = seats(&upstream);
        let list = seats.list.borrow().clone();
        list[0].endpoint.health.set_sick(Some("ill"));
        assert_eq!(picks(&seats, &upstream, 2), [1, 1]);
        list[1].endpoint.health.set_sick(Some("ill"));
        assert!(seats.pick(&upstream, &[], Instant::now()).is_none());
    }

    #[test]
    fn a_freed_connection_stays_unless_another_endpoint_is_less_busy() {
        let upstream = upstream(Balance::LeastRequests, &[1, 1]);
        let seats = seats(&upstream);
        let list = seats.list.borrow().clone();
        let _busy = [list[0].busy(), list[1].busy()];
        assert!(!seats.is_wanted_elsewhere(&list[0]), "both are as busy");
        let more = list[0].busy();
        assert!(seats.is_wanted_elsewhere(&list[0]));
        drop(more);
        list[0].endpoint.health.set_sick(Some("ill"));
        assert!(seats.is_wanted_elsewhere(&list[0]));
    }
}
