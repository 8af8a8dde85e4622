-- The streams of simulated homes, typed before the first message.
CREATE STREAM IF NOT EXISTS climate (
  temperature DOUBLE UNIT '°C', humidity DOUBLE UNIT '%', setpoint DOUBLE UNIT '°C', heating BOOLEAN,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE STREAM IF NOT EXISTS meter (
  power DOUBLE UNIT 'W', import_kwh DOUBLE UNIT 'kWh', export_kwh DOUBLE UNIT 'kWh', voltage DOUBLE UNIT 'V',
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE STREAM IF NOT EXISTS solar (
  power DOUBLE UNIT 'W', energy_kwh DOUBLE UNIT 'kWh',
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE STREAM IF NOT EXISTS lock (locked BOOLEAN, battery DOUBLE UNIT '%');
CREATE STREAM IF NOT EXISTS contact (open BOOLEAN, battery DOUBLE UNIT '%');
CREATE STREAM IF NOT EXISTS motion (occupied BOOLEAN, illuminance DOUBLE UNIT 'lx');
CREATE STREAM IF NOT EXISTS plug (
  power DOUBLE UNIT 'W', energy_kwh DOUBLE UNIT 'kWh', "on" BOOLEAN,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);

-- What each home draws from the grid, every ten seconds.
CREATE PIPELINE IF NOT EXISTS home_power INTO home_power_10s AS
SELECT site, window_start, avg(power) AS power, max(power) AS peak
FROM TUMBLE(meter, ts, INTERVAL '10' SECOND)
GROUP BY site, window_start, window_end;

-- How warm it is in each home, every minute.
CREATE PIPELINE IF NOT EXISTS home_climate INTO home_climate_1m AS
SELECT site, window_start, avg(temperature) AS temperature, avg(humidity) AS humidity
FROM TUMBLE(climate, ts, INTERVAL '1' MINUTE)
GROUP BY site, window_start, window_end;

-- Somebody boils water: a plug draws more than 2 kW, which no washing machine does. Five minutes hold a whole boil, so
-- that it is told once.
CREATE ALERT IF NOT EXISTS heavy_appliance SEVERITY info AS
SELECT device, window_start, max(power) AS peak
FROM TUMBLE(plug, ts, INTERVAL '5' MINUTE)
GROUP BY device, window_start, window_end
HAVING max(power) > 2000;
