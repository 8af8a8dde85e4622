-- RIoTBench, ETL: extract, transform, load. Values that cannot be and values that are missing become the mean of those before, sensors
-- that nobody knows are left out, the others are told with where they stand.

CREATE STREAM city (longitude DOUBLE, latitude DOUBLE, temperature DOUBLE UNIT '°C', humidity DOUBLE UNIT '%', light DOUBLE UNIT 'lx',
  dust DOUBLE, airquality_raw DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);

CREATE TABLE sensors (device TEXT, city TEXT, indoor BOOLEAN, height_m DOUBLE UNIT 'm', PRIMARY KEY (device)) FROM 'sensors.csv';

-- Range filter, and the join that stands for the Bloom filter and the annotation at once.
WITH valid AS (
  SELECT c.ts, c.device, s.city, s.indoor, s.height_m,
         CASE WHEN c.temperature BETWEEN -12.5 AND 43.1 THEN c.temperature END AS temperature,
         CASE WHEN c.humidity BETWEEN 10.7 AND 95.2 THEN c.humidity END AS humidity,
         CASE WHEN c.light BETWEEN 1345 AND 26282 THEN c.light END AS light,
         CASE WHEN c.dust BETWEEN 186.61 AND 5188.21 THEN c.dust END AS dust,
         CASE WHEN c.airquality_raw BETWEEN 17 AND 363 THEN c.airquality_raw END AS airquality_raw
  FROM city c JOIN sensors s ON s.device = c.device
)
-- Interpolation: the mean of what the sensor has said in its five readings before.
SELECT ts, device, city, indoor, height_m,
       coalesce(temperature, avg(temperature) OVER before) AS temperature,
       coalesce(humidity, avg(humidity) OVER before) AS humidity,
       coalesce(light, avg(light) OVER before) AS light,
       coalesce(dust, avg(dust) OVER before) AS dust,
       coalesce(airquality_raw, avg(airquality_raw) OVER before) AS airquality_raw
FROM valid
WINDOW before AS (PARTITION BY device ORDER BY ts ROWS BETWEEN 5 PRECEDING AND 1 PRECEDING);
