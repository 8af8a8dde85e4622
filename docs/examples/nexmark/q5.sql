-- Nexmark query 5, hot items: which auctions have had most bids in the last 10 seconds? Every 2 seconds.

CREATE STREAM nexmark (event TEXT, id BIGINT, name TEXT, email TEXT, credit_card TEXT, city TEXT, state TEXT, item TEXT,
  description TEXT, initial_bid BIGINT, reserve BIGINT, expires TIMESTAMP, seller BIGINT, category BIGINT, auction BIGINT,
  bidder BIGINT, price BIGINT, extra TEXT, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND);

CREATE PIPELINE count_bids INTO bid_counts AS
WITH bid AS (SELECT ts, auction FROM nexmark WHERE event = 'bid')
SELECT window_start, window_end, auction, count(*) AS bids
FROM HOP(bid, ts, INTERVAL '2' SECOND, INTERVAL '10' SECOND)
GROUP BY window_start, window_end, auction;

-- All counts of a window have the time of its end, so that those of one window are alone in theirs.
SELECT c.window_start, c.auction, c.bids
FROM bid_counts c
JOIN (SELECT window_start AS counted_at, max(bids) AS bids FROM TUMBLE(bid_counts, ts, INTERVAL '2' SECOND) GROUP BY window_start) most
  ON most.bids = c.bids AND most.counted_at = c.ts;
