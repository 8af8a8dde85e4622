-- Nexmark query 8, monitor new users: who has signed up and opened an auction in the same 10 seconds?

CREATE STREAM nexmark (event TEXT, id BIGINT, name TEXT, email TEXT, credit_card TEXT, city TEXT, state TEXT, item TEXT,
  description TEXT, initial_bid BIGINT, reserve BIGINT, expires TIMESTAMP, seller BIGINT, category BIGINT, auction BIGINT,
  bidder BIGINT, price BIGINT, extra TEXT, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND);

WITH person AS (SELECT ts, id, name FROM nexmark WHERE event = 'person'),
     auction AS (SELECT ts, seller FROM nexmark WHERE event = 'auction')
SELECT p.id, p.name, p.window_start
FROM (SELECT id, name, window_start FROM TUMBLE(person, ts, INTERVAL '10' SECOND) GROUP BY id, name, window_start) p
JOIN (SELECT seller, window_start FROM TUMBLE(auction, ts, INTERVAL '10' SECOND) GROUP BY seller, window_start) a
  ON a.seller = p.id AND a.window_start = p.window_start;
