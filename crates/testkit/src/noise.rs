//! Randomness as a function of time, so that every home of a region sees the same sky whenever it looks.
//!
//! A generator with state would tie the weather to how often it is asked. Here a value belongs to
//! (seed, channel, time) alone.

/// Terms of the moving average that stands for the autoregression; what is cut off weighs less than 0.9^96.
const TERMS: i64 = 96;

/// A number in [0, 1) that belongs to these three (SplitMix64 finalizer).
pub fn uniform(seed: u64, channel: u64, index: i64) -> f64 {
    let mut z = seed
        .wrapping_add(channel.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add((index as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// An AR(1) process with unit variance, sampled every `step_s` seconds and drawn as straight lines between.
/// `phi` is the correlation from one sample to the next.
pub fn autoregressive(seed: u64, channel: u64, at_s: f64, step_s: f64, phi: f64) -> f64 {
    let position = at_s / step_s;
    let index = position.floor();
    let share = position - index;
    let before = sample(seed, channel, index as i64, phi);
    let after = sample(seed, channel, index as i64 + 1, phi);
    before + (after - before) * share
}

/// AR(1) as a sum of its innovations: x_k = sqrt(1 - phi^2) * sum phi^j e_(k-j).
fn sample(seed: u64, channel: u64, index: i64, phi: f64) -> f64 {
    let mut weight = (1.0 - phi * phi).sqrt();
    let mut sum = 0.0;
    for back in 0..TERMS {
        // Uniform innovations with variance 1; their sum is close to normal.
        sum += weight * (uniform(seed, channel, index - back) - 0.5) * 12.0_f64.sqrt();
        weight *= phi;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_unit_variance_and_the_stated_correlation() {
        let values: Vec<f64> =
            (0..20_000).map(|k| autoregressive(7, 1, f64::from(k) * 60.0, 60.0, 0.9)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let covariance =
            values.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.15, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.15, "variance {variance}");
        assert!((covariance / variance - 0.9).abs() < 0.02, "correlation {}", covariance / variance);
    }

    #[test]
    fn it_is_continuous_and_independent_of_who_asked_before() {
        let at = 1_767_225_601.0;
        let first = autoregressive(1, 2, at, 300.0, 0.95);
        autoregressive(1, 2, at + 5_000.0, 300.0, 0.95);
        assert_eq!(first, autoregressive(1, 2, at, 300.0, 0.95));
        assert!((first - autoregressive(1, 2, at + 0.5, 300.0, 0.95)).abs() < 0.05);
    }
}
