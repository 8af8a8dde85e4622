//! Functions of the weather. `build.sh` makes a component of them.

wit_bindgen::generate!({ world: "weather" });

struct Weather;

export!(Weather);

impl Guest for Weather {
    /// Magnus formula with the coefficients of Sonntag (1990), good to 0.35 °C between -45 and 60 °C.
    fn dew_point(celsius: f64, humidity: f64) -> Result<f64, String> {
        const B: f64 = 17.62;
        const C: f64 = 243.12;
        if humidity <= 0.0 || humidity > 100.0 {
            return Err(format!("a relative humidity of {humidity} %"));
        }
        let gamma = (humidity / 100.0).ln() + B * celsius / (C + celsius);
        Ok(C * gamma / (B - gamma))
    }

    fn comfort(celsius: Option<f64>) -> String {
        let word = match celsius {
            None => "unknown",
            Some(celsius) if celsius < 18.0 => "cold",
            Some(celsius) if celsius < 25.0 => "good",
            Some(_) => "warm",
        };
        word.to_owned()
    }
}
