-- RIoTBench, PRED: a decision tree says how good the air is, a linear regression how good it should be, and how far off it was.

CREATE STREAM city (longitude DOUBLE, latitude DOUBLE, temperature DOUBLE UNIT '°C', humidity DOUBLE UNIT '%', light DOUBLE UNIT 'lx',
  dust DOUBLE, airquality_raw DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);

-- The regression's coefficients: another load of the table is another model from then on.
CREATE TABLE models (measure TEXT, intercept DOUBLE, temperature DOUBLE, humidity DOUBLE, light DOUBLE, dust DOUBLE, PRIMARY KEY (measure))
  FROM 'models.csv';

WITH reading AS (
  SELECT ts, device, temperature, humidity, light, dust, airquality_raw, 'airquality_raw' AS measure
  FROM city
  WHERE temperature BETWEEN -12.5 AND 43.1
    AND humidity BETWEEN 10.7 AND 95.2
    AND light BETWEEN 1345 AND 26282
    AND dust BETWEEN 186.61 AND 5188.21
    AND airquality_raw BETWEEN 17 AND 363
),
predicted AS (
  SELECT r.ts, r.device, r.airquality_raw,
         CASE WHEN r.dust < 400 THEN CASE WHEN r.humidity < 80 THEN 'excellent' ELSE 'good' END
              WHEN r.dust < 800 THEN CASE WHEN r.temperature > 25 THEN 'average' ELSE 'good' END
              WHEN r.light < 3000 THEN 'poor'
              ELSE 'average' END AS quality,
         m.intercept + m.temperature * r.temperature + m.humidity * r.humidity + m.light * r.light + m.dust * r.dust AS expected
  FROM reading r JOIN models m ON m.measure = r.measure
)
-- The error, as a share of the mean of the sensor's last ten readings.
SELECT ts, device, quality, expected, airquality_raw,
       abs(expected - airquality_raw) / avg(airquality_raw) OVER (PARTITION BY device ORDER BY ts ROWS 9 PRECEDING) AS error
FROM predicted;
