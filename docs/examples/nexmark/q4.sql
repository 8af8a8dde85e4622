-- Nexmark query 4, average price for a category: what have the auctions of each category brought?
--
-- Published as an average over all auctions ever, given anew after each bid. Here the auctions that end in the same 10 seconds make
-- one final average for each category; auctions that last longer than 10 seconds are left out.

CREATE STREAM nexmark (event TEXT, id BIGINT, name TEXT, email TEXT, credit_card TEXT, city TEXT, state TEXT, item TEXT,
  description TEXT, initial_bid BIGINT, reserve BIGINT, expires TIMESTAMP, seller BIGINT, category BIGINT, auction BIGINT,
  bidder BIGINT, price BIGINT, extra TEXT, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND);

-- A bid has the time at which its auction ends, so that all bids of an auction come into one window.
CREATE STREAM bids_in_time (auction BIGINT, category BIGINT, price BIGINT, WATERMARK FOR ts AS ts - INTERVAL '10' SECOND);

CREATE PIPELINE pair INTO bids_in_time AS
WITH auction AS (SELECT ts, id, category, expires FROM nexmark WHERE event = 'auction' AND expires <= ts + INTERVAL '10' SECOND),
     bid AS (SELECT ts, auction, price FROM nexmark WHERE event = 'bid')
SELECT a.expires AS ts, b.auction, a.category, b.price
FROM auction a JOIN bid b
  ON b.auction = a.id AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '10' SECOND AND b.ts <= a.expires;

CREATE PIPELINE win INTO winning_prices AS
SELECT window_start AS ts, auction, category, max(price) AS price
FROM TUMBLE(bids_in_time, ts, INTERVAL '10' SECOND)
GROUP BY auction, category, window_start;

SELECT category, window_start, avg(price) AS average
FROM TUMBLE(winning_prices, ts, INTERVAL '10' SECOND)
GROUP BY category, window_start;
