//! `docs/examples/nexmark` beside the same questions in plain Rust, which has all events before it at once.
//!
//! Each query runs over two auction houses. In the busy one auctions last up to 3.3 s and everybody who sells has signed up
//! within a minute, so that bounds in time leave nothing out; in the slow one they do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use springhouse_engine::files::{RunOptions, Source, Target, run};
use springhouse_testkit::nexmark::{Auction, Bid, Event, Nexmark, NexmarkOptions, Person, What};

const BUSY: NexmarkOptions =
    NexmarkOptions { events: 40_000, seed: 7, events_per_second: 1_000, disorder_ms: 3_000 };
const SLOW: NexmarkOptions = NexmarkOptions { events: 30_000, seed: 8, events_per_second: 100, ..BUSY };

/// What happened, each with its time in milliseconds.
struct House {
    persons: Vec<(u64, Person)>,
    auctions: Vec<(u64, Auction)>,
    bids: Vec<(u64, Bid)>,
}

/// An auction of at most 10 seconds, with the bids that it has had in time.
struct Sale<'a> {
    opened: u64,
    auction: &'a Auction,
    bids: Vec<&'a (u64, Bid)>,
}

impl House {
    fn of(options: NexmarkOptions) -> House {
        let mut house = House { persons: Vec::new(), auctions: Vec::new(), bids: Vec::new() };
        for Event { ts_ms, what } in events(options) {
            match what {
                What::Person(person) => house.persons.push((ts_ms, person)),
                What::Auction(auction) => house.auctions.push((ts_ms, auction)),
                What::Bid(bid) => house.bids.push((ts_ms, bid)),
            }
        }
        house
    }

    /// Those with at least one bid.
    fn sales(&self) -> Vec<Sale<'_>> {
        let mut of_auction: BTreeMap<u64, Vec<&(u64, Bid)>> = BTreeMap::new();
        for bid in &self.bids {
            of_auction.entry(bid.1.auction).or_default().push(bid);
        }
        let short = self.auctions.iter().filter(|(ts, auction)| auction.expires_ms - ts <= 10_000);
        let sales = short.map(|(opened, auction)| {
            let mut bids = of_auction.remove(&auction.id).unwrap_or_default();
            bids.retain(|(at, _)| (*opened..=auction.expires_ms).contains(at));
            Sale { opened: *opened, auction, bids }
        });
        sales.filter(|sale| !sale.bids.is_empty()).collect()
    }
}

/// What is drawn, and then what happens just at a bound or just behind it, in which chance would rarely hit.
fn events(options: NexmarkOptions) -> Vec<Event> {
    let mut events: Vec<Event> = Nexmark::new(options).collect();
    let last = events.iter().map(|event| event.ts_ms).max().unwrap();
    events.extend(edges(start_of(last, 10_000) + 20_000));
    events
}

/// `begin` is the beginning of a window.
fn edges(begin: u64) -> impl Iterator<Item = Event> {
    let person = |id| {
        let (name, extra) = (format!("Person {id}"), String::new());
        let (email, credit_card) = (extra.clone(), extra.clone());
        What::Person(Person { id, name, email, credit_card, city: "Eugene", state: "OR", extra })
    };
    let auction = |id, seller, expires| {
        let (item, description, extra) = (format!("item {id}"), String::new(), String::new());
        let (initial_bid, reserve, expires_ms) = (1, 2, begin + expires);
        What::Auction(Auction {
            id,
            item,
            description,
            initial_bid,
            reserve,
            expires_ms,
            seller,
            category: 10,
            extra,
        })
    };
    let bid =
        |auction, bidder, price| What::Bid(Bid { auction, bidder, price, extra: format!("by {bidder}") });
    const MOST: u64 = 2_000_000_000;
    let happened = [
        (0, bid(90_003, 1, 999)),             // before its auction has been opened
        (1, auction(90_001, 80_001, 10_001)), // of 10 seconds, by somebody who signs up a minute later
        (1, auction(90_002, 80_002, 10_002)), // longer
        (1, auction(90_003, 80_003, 9_000)),  // by somebody who signs up more than a minute later
        (1, bid(90_003, 2, 500)),             // at the very beginning
        (2, bid(90_002, 3, 700)),
        (3, bid(90_003, 7, 900)), // the first two of equal bids, at one time
        (3, bid(90_003, 6, 900)),
        (4, bid(90_003, 5, 900)),
        (5_000, bid(90_001, 8, MOST)), // the highest of its window, and as high as one in the next
        (9_001, bid(90_003, 9, 5_000)), // behind the end
        (10_000, bid(90_004, 10, MOST)),
        (10_001, bid(90_001, 11, MOST + 1)), // at the very end
        (60_001, person(80_001)),
        (60_002, person(80_003)),
    ];
    happened.into_iter().map(move |(after, what)| Event { ts_ms: begin + after, what })
}

/// The rows of `qN.sql` over the events, sorted by their text.
fn rows_of(query: &str, events: &[Event]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("events"), folder.path().join("out"));
    let mut lines = Vec::new();
    events.iter().for_each(|event| event.write(&mut lines).unwrap());
    fs::write(&input, lines).unwrap();
    let stats = run(&RunOptions {
        sql: fs::read_to_string(format!("../../docs/examples/nexmark/{query}.sql")).unwrap(),
        from: vec![("nexmark".to_owned(), Source::File(input))],
        to: vec![(None, Target::File(out.clone()))],
        ..RunOptions::default()
    })
    .unwrap();
    assert_eq!((stats.events, stats.late, stats.quarantined), (events.len() as u64, 0, 0), "{query}");
    let mut rows: Vec<String> = fs::read_to_string(out).unwrap().lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// `2026-01-01T00:00:00Z` and so many milliseconds, as rows tell it.
pub fn time(ms: u64) -> String {
    let since = ms - 1_767_225_600_000;
    let (hours, minutes, seconds) = (since / 3_600_000, since / 60_000 % 60, since / 1_000 % 60);
    let fraction = if since.is_multiple_of(1_000) { String::new() } else { format!(".{:03}", since % 1_000) };
    format!("2026-01-01T{hours:02}:{minutes:02}:{seconds:02}{fraction}Z")
}

fn check(query: &str, expected: impl Fn(&House) -> Vec<Value>) {
    for options in [BUSY, SLOW] {
        let found = rows_of(query, &events(options));
        let mut expected: Vec<String> = expected(&House::of(options)).iter().map(Value::to_string).collect();
        expected.sort();
        assert!(!expected.is_empty(), "{query} asks for nothing");
        let differing = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert!(
            found == expected,
            "{query}: {} rows, expected {}; the first that differ {differing:?}",
            found.len(),
            expected.len()
        );
    }
}

fn start_of(ts: u64, length_ms: u64) -> u64 {
    ts / length_ms * length_ms
}

#[test]
fn query_0_hands_on_every_bid() {
    check("q0", |house| {
        let row = |(ts, Bid { auction, bidder, price, extra }): &(u64, Bid)| json!({"auction": auction, "bidder": bidder, "price": price, "ts": time(*ts), "extra": extra});
        house.bids.iter().map(row).collect()
    });
}

#[test]
fn query_1_converts_every_price() {
    check("q1", |house| {
        let row = |(ts, Bid { auction, bidder, price, extra }): &(u64, Bid)| {
            let price = 0.908 * *price as f64;
            json!({"auction": auction, "bidder": bidder, "price": price, "ts": time(*ts), "extra": extra})
        };
        house.bids.iter().map(row).collect()
    });
}

#[test]
fn query_2_selects_bids_by_auction() {
    check("q2", |house| {
        let wanted = house.bids.iter().filter(|(_, bid)| bid.auction % 123 == 0);
        wanted.map(|(_, bid)| json!({"auction": bid.auction, "price": bid.price})).collect()
    });
}

/// Sellers of three states with their auctions in category 10 that they open so long before or after they sign up.
fn local_items(house: &House, distance_ms: u64) -> Vec<Value> {
    let persons: BTreeMap<u64, &(u64, Person)> =
        house.persons.iter().map(|person| (person.1.id, person)).collect();
    let of_category = house.auctions.iter().filter(|(_, auction)| auction.category == 10);
    let found = of_category.filter_map(|(opened, auction)| {
        let (signed_up, Person { name, city, state, .. }) = persons.get(&auction.seller)?;
        let is_local = ["OR", "ID", "CA"].contains(state) && opened.abs_diff(*signed_up) <= distance_ms;
        is_local.then(|| json!({"name": name, "city": city, "state": state, "id": auction.id}))
    });
    found.collect()
}

#[test]
fn query_3_finds_what_is_sold_locally() {
    check("q3", |house| local_items(house, 60_000));
    // Of what is drawn, the bound leaves nothing out where persons are active for less than a minute.
    let left_out = |options| {
        let house = House::of(options);
        local_items(&house, u64::MAX).len() - local_items(&house, 60_000).len()
    };
    assert_eq!(left_out(BUSY), 1, "the one at the edge");
    assert!(left_out(SLOW) > 1);
}

#[test]
fn query_4_averages_what_auctions_have_brought() {
    check("q4", |house| {
        let mut of_category: BTreeMap<(u64, u64), Vec<u64>> = BTreeMap::new();
        for Sale { auction, bids, .. } in house.sales() {
            let price = bids.iter().map(|(_, bid)| bid.price).max().unwrap();
            let window = start_of(auction.expires_ms, 10_000);
            of_category.entry((auction.category, window)).or_default().push(price);
        }
        let row = |((category, window), prices): (&(u64, u64), &Vec<u64>)| {
            let average = prices.iter().sum::<u64>() as f64 / prices.len() as f64;
            json!({"category": category, "window_start": time(*window), "average": average})
        };
        of_category.iter().map(row).collect()
    });
    // Published, there is no bound; of what is drawn it leaves nothing out in the busy house.
    let mut drawn = Nexmark::new(BUSY);
    assert!(drawn.all(|event| match event.what {
        What::Auction(auction) => auction.expires_ms - event.ts_ms <= 10_000,
        _ => true,
    }));
}

#[test]
fn query_5_finds_the_auctions_with_most_bids() {
    check("q5", |house| {
        let mut counts: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
        for (ts, bid) in &house.bids {
            for back in 0..5 {
                let window = start_of(*ts, 2_000) - back * 2_000;
                *counts.entry(window).or_default().entry(bid.auction).or_default() += 1;
            }
        }
        let hot = counts.iter().flat_map(|(window, auctions)| {
            let most = auctions.values().max().unwrap();
            auctions
                .iter()
                .filter(move |(_, bids)| *bids == most)
                .map(|(auction, bids)| (*window, *auction, *bids))
        });
        hot.map(|(window, auction, bids)| {
            // The first windows begin in the year before.
            let start = match window < 1_767_225_600_000 {
                true => format!("2025-12-31T23:59:{}Z", 60 - (1_767_225_600_000 - window) / 1_000),
                false => time(window),
            };
            json!({"window_start": start, "auction": auction, "bids": bids})
        })
        .collect()
    });
}

#[test]
fn query_7_finds_the_highest_bids_of_each_window() {
    check("q7", |house| {
        let mut highest: BTreeMap<u64, u64> = BTreeMap::new();
        for (ts, bid) in &house.bids {
            let price = highest.entry(start_of(*ts, 10_000)).or_default();
            *price = bid.price.max(*price);
        }
        let is_highest = |(ts, bid): &&(u64, Bid)| highest[&start_of(*ts, 10_000)] == bid.price;
        let row = |(ts, Bid { auction, bidder, price, extra }): &(u64, Bid)| json!({"auction": auction, "bidder": bidder, "price": price, "ts": time(*ts), "extra": extra});
        house.bids.iter().filter(is_highest).map(row).collect()
    });
}

#[test]
fn query_8_finds_who_signs_up_and_sells_at_once() {
    check("q8", |house| {
        let sellers: BTreeSet<(u64, u64)> =
            house.auctions.iter().map(|(ts, auction)| (start_of(*ts, 10_000), auction.seller)).collect();
        let sells = |(ts, person): &&(u64, Person)| sellers.contains(&(start_of(*ts, 10_000), person.id));
        let row = |(ts, person): &(u64, Person)| json!({"id": person.id, "name": person.name, "window_start": time(start_of(*ts, 10_000))});
        house.persons.iter().filter(sells).map(row).collect()
    });
}

#[test]
fn query_9_finds_the_bid_that_wins_each_auction() {
    check("q9", |house| {
        let won = house.sales().into_iter().map(|Sale { opened, auction, bids }| {
            let order = |(at, bid): &(u64, Bid)| (u64::MAX - bid.price, *at, bid.bidder);
            let (at, bid) = bids.into_iter().min_by_key(|bid| order(bid)).unwrap();
            json!({
                "id": auction.id, "item": auction.item, "description": auction.description, "initial_bid": auction.initial_bid,
                "reserve": auction.reserve, "opened": time(opened), "seller": auction.seller, "category": auction.category,
                "extra": auction.extra, "price": bid.price, "bidder": bid.bidder, "bid_at": time(*at), "bid_extra": bid.extra,
            })
        });
        won.collect()
    });
}
