-- Nexmark query 1, currency conversion: what are all bids in euros?

CREATE STREAM nexmark (event TEXT, id BIGINT, name TEXT, email TEXT, credit_card TEXT, city TEXT, state TEXT, item TEXT,
  description TEXT, initial_bid BIGINT, reserve BIGINT, expires TIMESTAMP, seller BIGINT, category BIGINT, auction BIGINT,
  bidder BIGINT, price BIGINT, extra TEXT, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND);

SELECT auction, bidder, 0.908 * price AS price, ts, extra FROM nexmark WHERE event = 'bid';
