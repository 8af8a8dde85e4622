//! Which event has which number, and what is in it.

use super::START_MS;
use super::event::{Auction, Bid, Event, Person, What};
use crate::random::Random;

/// Events in a round: one person, then the auctions, then bids.
const ROUND: u64 = 50;
const AUCTIONS: u64 = 3;
/// Persons and auctions are numbered from here on.
const FIRST_ID: u64 = 1_000;
/// Of so many, in the order of their numbers, the first is hot.
const HOT_EVERY: u64 = 100;
const PERSONS_ACTIVE: u64 = 1_000;
const AUCTIONS_OPEN: u64 = 100;
/// References may be that far ahead of the last number: events of several sources overtake each other.
const AHEAD: u64 = 10;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;
/// Bytes that the values of an event fill on average; numbers and times count 8.
const PERSON_BYTES: usize = 200;
const AUCTION_BYTES: usize = 500;
const BID_BYTES: usize = 100;

const FIRST_NAMES: [&str; 12] =
    ["Ada", "Bo", "Carla", "Dov", "Edith", "Femi", "Greta", "Hugo", "Ines", "Jun", "Karim", "Lena"];
const LAST_NAMES: [&str; 10] =
    ["Abara", "Brandt", "Castro", "Dubois", "Eriksen", "Fontana", "Gruber", "Haddad", "Ito", "Jensen"];
const CITIES: [&str; 10] = [
    "Boise",
    "Cheyenne",
    "Eugene",
    "Flagstaff",
    "Fresno",
    "Oakland",
    "Portland",
    "Seattle",
    "Spokane",
    "Tucson",
];
/// Beam's; query 3 asks for three of them.
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

pub(super) struct Draw {
    random: Random,
    events_per_second: u64,
}

impl Draw {
    pub(super) fn new(seed: u64, events_per_second: u64) -> Draw {
        Draw { random: Random::new(seed), events_per_second }
    }

    /// The event of a number, counted from 0; they are asked for one after the other.
    pub(super) fn event(&mut self, number: u64) -> Event {
        let (round, place) = (number / ROUND, number % ROUND);
        let what = match place {
            0 => What::Person(self.person(round)),
            1..=AUCTIONS => What::Auction(self.auction(number, round, round * AUCTIONS + place - 1)),
            _ => What::Bid(self.bid(round, round * AUCTIONS + AUCTIONS - 1)),
        };
        Event { ts_ms: self.time_ms(number), what }
    }

    fn time_ms(&self, number: u64) -> u64 {
        START_MS + number * 1_000 / self.events_per_second
    }

    fn person(&mut self, count: u64) -> Person {
        let name = format!("{} {}", self.one_of(&FIRST_NAMES), self.one_of(&LAST_NAMES));
        let email = format!("{}@{}.example", self.letters(7), self.letters(5));
        let digits: Vec<String> = (0..4).map(|_| format!("{:04}", self.random.below(10_000))).collect();
        let credit_card = digits.join(" ");
        let (city, state) = (self.one_of(&CITIES), self.one_of(&STATES));
        let used = 16 + name.len() + email.len() + credit_card.len() + city.len() + state.len();
        let extra = self.extra(used, PERSON_BYTES);
        Person { id: FIRST_ID + count, name, email, credit_card, city, state, extra }
    }

    /// `round` is also the number of the last person, counted from 0.
    fn auction(&mut self, number: u64, round: u64, count: u64) -> Auction {
        let seller = match self.random.below(4) {
            0 => self.person_near(round),
            _ => round / HOT_EVERY * HOT_EVERY,
        };
        let initial_bid = self.price();
        // Twice the time in which as many auctions are opened as are open at once.
        let longest_ms = 2 * (self.time_ms(number + AUCTIONS_OPEN * ROUND / AUCTIONS) - self.time_ms(number));
        let expires_ms = self.time_ms(number) + 1 + self.random.below(longest_ms);
        let (item_letters, words) = (8 + self.random.below(12) as usize, 40 + self.random.below(60) as usize);
        let (item, description) = (self.letters(item_letters), self.letters(words));
        let extra = self.extra(56 + item.len() + description.len(), AUCTION_BYTES);
        Auction {
            id: FIRST_ID + count,
            item,
            description,
            initial_bid,
            reserve: initial_bid + self.price(),
            expires_ms,
            seller: FIRST_ID + seller,
            category: FIRST_CATEGORY + self.random.below(CATEGORIES),
            extra,
        }
    }

    /// `last_auction` is counted from 0.
    fn bid(&mut self, round: u64, last_auction: u64) -> Bid {
        let auction = match self.random.below(2) {
            0 => {
                let oldest = last_auction.saturating_sub(AUCTIONS_OPEN);
                oldest + self.random.below(last_auction - oldest + 1 + AHEAD)
            }
            _ => last_auction / HOT_EVERY * HOT_EVERY,
        };
        let bidder = match self.random.below(4) {
            0 => self.person_near(round),
            _ => round / HOT_EVERY * HOT_EVERY + 1,
        };
        let price = self.price();
        let extra = self.extra(32, BID_BYTES);
        Bid { auction: FIRST_ID + auction, bidder: FIRST_ID + bidder, price, extra }
    }

    /// One of the last persons or of those who are yet to come, counted from 0.
    fn person_near(&mut self, last: u64) -> u64 {
        let active = (last + 1).min(PERSONS_ACTIVE);
        last + 1 - active + self.random.below(active + AHEAD)
    }

    /// In cents.
    fn price(&mut self) -> u64 {
        (10_f64.powf(6.0 * self.random.share()) * 100.0).round() as u64
    }

    /// Letters for what is missing to an average, a fifth more or less of them.
    fn extra(&mut self, used: usize, average: usize) -> String {
        let missing = average.saturating_sub(used);
        let fifth = missing / 5;
        let length = missing - fifth + self.random.below(2 * fifth as u64 + 1) as usize;
        self.letters(length)
    }

    fn letters(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count);
        while text.len() < count {
            let drawn = self.random.next().to_le_bytes();
            let letters = drawn.iter().map(|byte| char::from(b'a' + byte % 26));
            text.extend(letters.take(count - text.len()));
        }
        text
    }

    fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts[self.random.below(texts.len() as u64) as usize]
    }
}
