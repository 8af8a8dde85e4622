-- Nexmark query 2, selection: which bids are there for auctions of certain numbers?

CREATE STREAM nexmark (event TEXT, id BIGINT, name TEXT, email TEXT, credit_card TEXT, city TEXT, state TEXT, item TEXT,
  description TEXT, initial_bid BIGINT, reserve BIGINT, expires TIMESTAMP, seller BIGINT, category BIGINT, auction BIGINT,
  bidder BIGINT, price BIGINT, extra TEXT, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND);

SELECT auction, price FROM nexmark WHERE event = 'bid' AND auction % 123 = 0;
