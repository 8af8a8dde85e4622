-- Nexmark query 7, highest bid: which bids are the highest of each 10 seconds?
--
-- Published with a bound that lets a bid at the very end of a window count in two. Here it counts in the later one.

CREATE STREAM nexmark (event TEXT, id BIGINT, name TEXT, email TEXT, credit_card TEXT, city TEXT, state TEXT, item TEXT,
  description TEXT, initial_bid BIGINT, reserve BIGINT, expires TIMESTAMP, seller BIGINT, category BIGINT, auction BIGINT,
  bidder BIGINT, price BIGINT, extra TEXT, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND);

WITH bid AS (SELECT ts, auction, bidder, price, extra FROM nexmark WHERE event = 'bid')
SELECT b.auction, b.bidder, b.price, b.ts, b.extra
FROM bid b
JOIN (SELECT window_start, window_end, max(price) AS price FROM TUMBLE(bid, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end) highest
  ON b.price = highest.price AND b.ts >= highest.window_start AND b.ts < highest.window_end;
