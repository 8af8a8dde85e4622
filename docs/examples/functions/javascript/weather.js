// Functions of the weather. `npm run build` makes a component of them.

/** Magnus formula with the coefficients of Sonntag (1990), good to 0.35 °C between -45 and 60 °C. */
export function dewPoint(celsius, humidity) {
  const b = 17.62;
  const c = 243.12;
  // What is thrown is the error of a `result`, here a text.
  if (humidity <= 0 || humidity > 100) throw `a relative humidity of ${humidity} %`;
  const gamma = Math.log(humidity / 100) + (b * celsius) / (c + celsius);
  return (c * gamma) / (b - gamma);
}

/** `undefined` is null. */
export function comfort(celsius) {
  if (celsius === undefined) return "unknown";
  if (celsius < 18) return "cold";
  return celsius < 25 ? "good" : "warm";
}
