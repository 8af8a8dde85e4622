//! What happens in the auction house, and how it is written as a line of JSON.

use std::io::{self, Write};

/// Something that happened, with its event time in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub ts_ms: u64,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

/// Somebody signs up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub credit_card: String,
    pub city: &'static str,
    pub state: &'static str,
    pub extra: String,
}

/// Somebody offers something. Prices are in cents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auction {
    pub id: u64,
    pub item: String,
    pub description: String,
    pub initial_bid: u64,
    pub reserve: u64,
    pub expires_ms: u64,
    pub seller: u64,
    pub category: u64,
    pub extra: String,
}

/// Somebody wants it, for so many cents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    pub auction: u64,
    pub bidder: u64,
    pub price: u64,
    pub extra: String,
}

impl Event {
    /// One object a line; `event` says which of the three it is. Texts hold nothing that JSON would have to escape.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let ts = self.ts_ms;
        match &self.what {
            What::Person(Person { id, name, email, credit_card, city, state, extra }) => writeln!(
                out,
                "{{\"event\":\"person\",\"ts\":{ts},\"id\":{id},\"name\":\"{name}\",\"email\":\"{email}\",\
                 \"credit_card\":\"{credit_card}\",\"city\":\"{city}\",\"state\":\"{state}\",\"extra\":\"{extra}\"}}"
            ),
            What::Auction(auction) => {
                let Auction {
                    id,
                    item,
                    description,
                    initial_bid,
                    reserve,
                    expires_ms,
                    seller,
                    category,
                    extra,
                } = auction;
                writeln!(
                    out,
                    "{{\"event\":\"auction\",\"ts\":{ts},\"id\":{id},\"item\":\"{item}\",\"description\":\"{description}\",\
                     \"initial_bid\":{initial_bid},\"reserve\":{reserve},\"expires\":{expires_ms},\"seller\":{seller},\
                     \"category\":{category},\"extra\":\"{extra}\"}}"
                )
            }
            What::Bid(Bid { auction, bidder, price, extra }) => writeln!(
                out,
                "{{\"event\":\"bid\",\"ts\":{ts},\"auction\":{auction},\"bidder\":{bidder},\"price\":{price},\"extra\":\"{extra}\"}}"
            ),
        }
    }
}
