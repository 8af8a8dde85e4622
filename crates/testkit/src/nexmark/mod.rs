//! The events of an auction house: what the queries of the Nexmark benchmark are asked of.
//!
//! The model is that of P. Tucker, K. Tufte, V. Papadimos and D. Maier, "NEXMark: A Benchmark for Queries over Data Streams"
//! (2002, <https://datalab.cs.pdx.edu/niagara/NEXMark/>), with the numbers that Apache Beam gave it (`sdks/java/testing/nexmark`)
//! and that <https://github.com/nexmark/nexmark> goes by for Flink and others:
//!
//! - Of 50 events the first is a person who signs up, three open an auction, 46 bid. Persons and auctions are numbered from 1000.
//! - Some are hot. Three of four auctions are opened by the person whose number was the last full hundred, three of four bids come
//!   from the one after that, and half of the bids are for the auction of the last full hundred. The others are
//!   spread over the last 1,000 persons and the last 100 auctions, and up to 10 that are yet to come.
//! - A price is 10 to a power drawn evenly from 0 to 6, in cents. An auction lasts from a millisecond to twice the time in which 100 others are opened.
//! - Values fill about 200 bytes in a person, 500 in an auction, 100 in a bid, most of it letters without a meaning.
//!
//! Event time begins at 2026-01-01T00:00:00Z and goes on evenly. The same options give the same bytes.

mod draw;
mod event;

use std::io::{self, Write};

pub use event::{Auction, Bid, Event, Person, What};

use crate::arrivals::Arrivals;
use crate::random::Random;
use draw::Draw;

/// 2026-01-01T00:00:00Z.
const START_MS: u64 = 1_767_225_600_000;
/// Delays have a sequence of their own, so that disorder changes when events arrive and not what they are.
const DELAY_SEED: u64 = 0xd1b5_4a32_d192_ed03;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NexmarkOptions {
    pub events: u64,
    pub seed: u64,
    /// Events in a second of event time; also how long auctions last follows from it.
    pub events_per_second: u64,
    /// How much later than it happened an event arrives at most; 0 leaves them in the order of time.
    pub disorder_ms: u64,
}

impl Default for NexmarkOptions {
    fn default() -> NexmarkOptions {
        NexmarkOptions { events: 1_000_000, seed: 1, events_per_second: 10_000, disorder_ms: 0 }
    }
}

/// The events in the order of their arrival.
pub struct Nexmark {
    draw: Draw,
    delays: Random,
    disorder_ms: u64,
    next: u64,
    events: u64,
    arrivals: Arrivals<Event>,
}

impl Nexmark {
    pub fn new(options: NexmarkOptions) -> Nexmark {
        Nexmark {
            draw: Draw::new(options.seed, options.events_per_second.max(1)),
            delays: Random::new(options.seed ^ DELAY_SEED),
            disorder_ms: options.disorder_ms,
            next: 0,
            events: options.events,
            arrivals: Arrivals::new(),
        }
    }
}

impl Iterator for Nexmark {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.next < self.events {
            let event = self.draw.event(self.next);
            let happened_ms = event.ts_ms;
            self.arrivals.send(happened_ms + self.delays.below(self.disorder_ms + 1), event);
            self.next += 1;
            if let Some(event) = self.arrivals.next_by(happened_ms) {
                return Some(event);
            }
        }
        self.arrivals.next()
    }
}

/// Writes the events as NDJSON, in the order of their arrival.
pub fn write_nexmark(options: NexmarkOptions, out: &mut impl Write) -> io::Result<()> {
    Nexmark::new(options).try_for_each(|event| event.write(out))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const EVENTS: u64 = 100_000;

    fn events(options: NexmarkOptions) -> Vec<Event> {
        Nexmark::new(options).collect()
    }

    fn some() -> Vec<Event> {
        events(NexmarkOptions { events: EVENTS, ..NexmarkOptions::default() })
    }

    fn auctions(events: &[Event]) -> Vec<(u64, &Auction)> {
        events
            .iter()
            .filter_map(|event| match &event.what {
                What::Auction(auction) => Some((event.ts_ms, auction)),
                _ => None,
            })
            .collect()
    }

    fn bids(events: &[Event]) -> Vec<&Bid> {
        events
            .iter()
            .filter_map(|event| match &event.what {
                What::Bid(bid) => Some(bid),
                _ => None,
            })
            .collect()
    }

    fn share<T>(all: &[T], is_so: impl Fn(&T) -> bool) -> f64 {
        all.iter().filter(|one| is_so(one)).count() as f64 / all.len() as f64
    }

    #[test]
    fn of_fifty_events_one_is_a_person_three_are_auctions_and_the_rest_bids() {
        let events = some();
        let persons: Vec<u64> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Person(person) => Some(person.id),
                _ => None,
            })
            .collect();
        assert_eq!(persons, (1_000..3_000).collect::<Vec<u64>>());
        let numbers: Vec<u64> = auctions(&events).iter().map(|(_, auction)| auction.id).collect();
        assert_eq!(numbers, (1_000..7_000).collect::<Vec<u64>>());
        assert_eq!(bids(&events).len(), 92_000);
        assert_eq!(events[EVENTS as usize - 1].ts_ms - START_MS, 9_999, "ten events a millisecond");
    }

    #[test]
    fn hot_ones_have_their_share_and_all_others_some() {
        let events = some();
        let (auctions, bids) = (auctions(&events), bids(&events));
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 0.02, "{found}");
        // A number that ends in 00 is drawn among the others too, one time in a hundred or less.
        near(share(&auctions, |(_, auction)| auction.seller % 100 == 0), 0.75);
        near(share(&bids, |bid| bid.bidder % 100 == 1), 0.75);
        near(share(&bids, |bid| bid.auction % 100 == 0), 0.505);
        for category in 10..15 {
            near(share(&auctions, |(_, auction)| auction.category == category), 0.2);
        }
        // Evenly over six powers of ten.
        near(share(&bids, |bid| bid.price < 1_000), 1.0 / 6.0);
        near(share(&bids, |bid| (1_000_000..10_000_000).contains(&bid.price)), 1.0 / 6.0);
        let bidders: HashSet<u64> = bids.iter().map(|bid| bid.bidder).collect();
        assert!(bidders.len() > 1_900, "{}", bidders.len());
    }

    #[test]
    fn an_auction_lasts_at_most_twice_the_time_in_which_a_hundred_are_opened() {
        let events = some();
        let lengths: Vec<u64> =
            auctions(&events).iter().map(|(ts_ms, auction)| auction.expires_ms - ts_ms).collect();
        // 100 auctions are 1,666 events or 166 ms.
        assert!(lengths.iter().all(|length_ms| (1..=334).contains(length_ms)));
        assert!(*lengths.iter().max().unwrap() > 300);
        let slower = NexmarkOptions { events: 10_000, events_per_second: 100, ..NexmarkOptions::default() };
        let slower = self::events(slower);
        assert!(auctions(&slower).iter().any(|(ts_ms, auction)| auction.expires_ms - ts_ms > 30_000));
    }

    #[test]
    fn references_lead_to_those_who_are_there_or_will_soon_be() {
        let events = some();
        let mut last: HashMap<&str, u64> = HashMap::new();
        for event in &events {
            match &event.what {
                What::Person(person) => _ = last.insert("person", person.id),
                What::Auction(auction) => {
                    assert!((1_000..=last["person"] + 10).contains(&auction.seller));
                    last.insert("auction", auction.id);
                }
                What::Bid(bid) => {
                    assert!((1_000..=last["auction"] + 10).contains(&bid.auction));
                    assert!((1_000..=last["person"] + 10).contains(&bid.bidder));
                }
            }
        }
    }

    #[test]
    fn disorder_changes_the_order_and_not_the_events() {
        let options =
            NexmarkOptions { events: 20_000, events_per_second: 1_000, ..NexmarkOptions::default() };
        let lines = |options| {
            let mut bytes = Vec::new();
            write_nexmark(options, &mut bytes).unwrap();
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<Vec<String>>()
        };
        let mut in_order = lines(options);
        let mut disordered = lines(NexmarkOptions { disorder_ms: 2_000, ..options });
        assert_ne!(in_order, disordered);
        in_order.sort();
        disordered.sort();
        assert_eq!(in_order, disordered);
        let mut newest = 0;
        for event in self::events(NexmarkOptions { disorder_ms: 2_000, ..options }) {
            assert!(event.ts_ms + 2_000 >= newest);
            newest = newest.max(event.ts_ms);
        }
    }

    #[test]
    fn lines_are_json_of_the_published_sizes_and_their_bytes_are_fixed() {
        let mut bytes = Vec::new();
        write_nexmark(NexmarkOptions { events: 10_000, ..NexmarkOptions::default() }, &mut bytes).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let mut sizes: HashMap<String, (usize, usize)> = HashMap::new();
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let values = event.as_object().unwrap().iter().filter(|(name, _)| *name != "event");
            let size: usize = values.map(|(_, value)| value.as_str().map_or(8, str::len)).sum();
            let (count, sum) = sizes.entry(event["event"].as_str().unwrap().to_owned()).or_default();
            (*count, *sum) = (*count + 1, *sum + size);
        }
        for (event, expected) in [("person", 200), ("auction", 500), ("bid", 100)] {
            let (count, sum) = sizes[event];
            assert!((sum / count).abs_diff(expected) < expected / 20, "{event}: {}", sum / count);
        }
        let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!((bytes.len(), sum), (1_879_549, 0xd88a_9bda_1211_706d));
    }
}
