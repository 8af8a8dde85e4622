-- Nexmark query 3, local item suggestion: who is selling in Oregon, Idaho or California in category 10, and in which auctions?
--
-- Published without a bound: every person and every auction would be remembered for ever. Here a seller signs up at most
-- a minute before or after the auction.

CREATE STREAM nexmark (event TEXT, id BIGINT, name TEXT, email TEXT, credit_card TEXT, city TEXT, state TEXT, item TEXT,
  description TEXT, initial_bid BIGINT, reserve BIGINT, expires TIMESTAMP, seller BIGINT, category BIGINT, auction BIGINT,
  bidder BIGINT, price BIGINT, extra TEXT, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND);

WITH auction AS (SELECT ts, id, seller FROM nexmark WHERE event = 'auction' AND category = 10),
     person AS (SELECT ts, id, name, city, state FROM nexmark WHERE event = 'person' AND state IN ('OR', 'ID', 'CA'))
SELECT p.name, p.city, p.state, a.id
FROM auction a JOIN person p
  ON p.id = a.seller AND p.ts BETWEEN a.ts - INTERVAL '1' MINUTE AND a.ts + INTERVAL '1' MINUTE;
