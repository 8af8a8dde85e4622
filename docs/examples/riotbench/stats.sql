-- RIoTBench, STATS: what sensors say, summed up. Each result is a stream of its own: --to averages=FILE, and so on.

CREATE STREAM city (longitude DOUBLE, latitude DOUBLE, temperature DOUBLE UNIT '°C', humidity DOUBLE UNIT '%', light DOUBLE UNIT 'lx',
  dust DOUBLE, airquality_raw DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);

-- Block average: of each sensor in 10 minutes.
CREATE PIPELINE average INTO averages AS
SELECT device, window_start, count(*) AS readings,
       avg(temperature) AS temperature,
       avg(humidity) AS humidity,
       avg(light) AS light,
       avg(dust) AS dust,
       avg(airquality_raw) AS airquality_raw
FROM TUMBLE(city, ts, INTERVAL '10' MINUTE)
GROUP BY device, window_start;

-- Distinct approximate count: how many sensors have spoken in an hour.
CREATE PIPELINE distinct_count INTO sensor_counts AS
SELECT window_start, approx_distinct(device) AS sensors FROM TUMBLE(city, ts, INTERVAL '1' HOUR) GROUP BY window_start;

-- Second moment, of how often each value of air quality comes in an hour: 0 would be nothing, the square of all readings always the same value.
CREATE PIPELINE frequency INTO frequencies AS
SELECT window_start AS ts, airquality_raw, count(*) AS times
FROM TUMBLE(city, ts, INTERVAL '1' HOUR) WHERE airquality_raw IS NOT NULL
GROUP BY window_start, airquality_raw;

CREATE PIPELINE second_moment INTO moments AS
SELECT window_start, sum(times) AS readings, sum(times * times) AS second_moment
FROM TUMBLE(frequencies, ts, INTERVAL '1' HOUR)
GROUP BY window_start;

-- A Kalman filter for a value that stands still but for noise, once its gain has settled: with a process noise of 0.125 and a sensor
-- noise of 0.32 (RIoTBench's) at 0.4595. Each reading weighs 0.5405 of the one after it; ten of them are 99.8 % of all.
CREATE PIPELINE smooth INTO smoothed AS
SELECT ts, device,
       0.4605 * temperature
       + 0.2489 * LAG(temperature, 1) OVER sensor
       + 0.1345 * LAG(temperature, 2) OVER sensor
       + 0.0727 * LAG(temperature, 3) OVER sensor
       + 0.0393 * LAG(temperature, 4) OVER sensor
       + 0.0212 * LAG(temperature, 5) OVER sensor
       + 0.0115 * LAG(temperature, 6) OVER sensor
       + 0.0062 * LAG(temperature, 7) OVER sensor
       + 0.0034 * LAG(temperature, 8) OVER sensor
       + 0.0018 * LAG(temperature, 9) OVER sensor AS temperature
FROM (SELECT ts, device, temperature FROM city WHERE temperature BETWEEN -12.5 AND 43.1)
WINDOW sensor AS (PARTITION BY device ORDER BY ts);

-- Sliding linear regression of the last ten smoothed values over time, and where it leads in ten minutes.
SELECT ts, device, 60 * slope AS celsius_a_minute, mean + slope * (second + 600 - mean_second) AS in_ten_minutes
FROM (
  SELECT ts, device, extract(epoch FROM ts) AS second,
         regr_slope(temperature, extract(epoch FROM ts)) OVER last AS slope,
         regr_avgx(temperature, extract(epoch FROM ts)) OVER last AS mean_second,
         regr_avgy(temperature, extract(epoch FROM ts)) OVER last AS mean
  FROM smoothed WHERE temperature IS NOT NULL
  WINDOW last AS (PARTITION BY device ORDER BY ts ROWS 9 PRECEDING)
)
WHERE slope IS NOT NULL;
