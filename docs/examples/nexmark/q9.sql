-- Nexmark query 9, winning bids: which bid has won each auction? The highest; of equal ones the first.
--
-- Published as a row that changes with each bid. Here an auction gives one final row, when it is over; auctions that
-- last longer than 10 seconds are left out, and those without a bid give none.

CREATE STREAM nexmark (event TEXT, id BIGINT, name TEXT, email TEXT, credit_card TEXT, city TEXT, state TEXT, item TEXT,
  description TEXT, initial_bid BIGINT, reserve BIGINT, expires TIMESTAMP, seller BIGINT, category BIGINT, auction BIGINT,
  bidder BIGINT, price BIGINT, extra TEXT, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND);

-- A bid has the time at which its auction ends, so that all bids of an auction come into one window.
CREATE STREAM bids_in_time (id BIGINT, item TEXT, description TEXT, initial_bid BIGINT, reserve BIGINT, opened TIMESTAMP, seller BIGINT,
  category BIGINT, extra TEXT, bidder BIGINT, price BIGINT, bid_at TIMESTAMP, bid_extra TEXT,
  WATERMARK FOR ts AS ts - INTERVAL '10' SECOND);

CREATE PIPELINE pair INTO bids_in_time AS
WITH auction AS (SELECT * FROM nexmark WHERE event = 'auction' AND expires <= ts + INTERVAL '10' SECOND),
     bid AS (SELECT ts, auction, bidder, price, extra FROM nexmark WHERE event = 'bid')
SELECT a.expires AS ts, a.id, a.item, a.description, a.initial_bid, a.reserve, a.ts AS opened, a.seller, a.category, a.extra,
       b.bidder, b.price, b.ts AS bid_at, b.extra AS bid_extra
FROM auction a JOIN bid b
  ON b.auction = a.id AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '10' SECOND AND b.ts <= a.expires;

SELECT id, item, description, initial_bid, reserve, opened, seller, category, extra,
       max(price) AS price,
       first_value(bidder ORDER BY price DESC, bid_at, bidder) AS bidder,
       first_value(bid_at ORDER BY price DESC, bid_at, bidder) AS bid_at,
       first_value(bid_extra ORDER BY price DESC, bid_at, bidder) AS bid_extra
FROM TUMBLE(bids_in_time, ts, INTERVAL '1' SECOND)
GROUP BY window_start, id, item, description, initial_bid, reserve, opened, seller, category, extra;
