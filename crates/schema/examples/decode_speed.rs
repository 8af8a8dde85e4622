//! What decoding costs: CPU time of one core for a payload of 129 bytes. Run with `--release`.

use std::sync::Arc;
use std::time::Instant;

use springhouse_model::Timestamp;
use springhouse_schema::{Decoder, Limits, Mode, Origin, Schema};

const MESSAGES: usize = 1_000_000;
const BATCH: usize = 4_096;

fn main() {
    let payloads: Vec<String> = (0..BATCH)
        .map(|n| {
            format!(
                r#"{{"device":"dev-{n:05}","site":"site-01","seq":{n},"ts":17672256{:05},"temp":2{}.123,"humidity":51.20,"power":512.3,"status":"ok"}}"#,
                n, n % 10
            )
        })
        .collect();
    let schema = Arc::new(Schema::infer(payloads[0].as_bytes()).expect("the payload is an object"));
    let received = Some(Timestamp(1_767_225_700_000_000));
    let origin = Origin { device: Some("dev-00001"), site: Some("home"), received, id: None, partition: 1 };
    let mut decoder = Decoder::new(Arc::clone(&schema), Mode::Identity, Limits::default());
    measure("one message at a time, sender known", || {
        for payload in &payloads {
            decoder.decode(&origin, payload.as_bytes()).expect("it fits");
        }
        decoder.take().finish().expect("a batch").0.num_rows()
    });
    let file = Schema { fields: schema.fields[2..].to_vec(), ..schema.as_ref().clone() };
    let mut decoder = Decoder::new(Arc::new(file), Mode::File, Limits::default());
    let text = payloads.join("\n");
    measure("lines of a file", || {
        decoder.decode_lines(&Origin::default(), text.as_bytes(), |_, _, rejection| panic!("{rejection}"));
        decoder.take().finish().expect("a batch").0.num_rows()
    });
}

fn measure(what: &str, mut round: impl FnMut() -> usize) {
    round();
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        let mut rows = 0;
        while rows < MESSAGES {
            rows += round();
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1e6 / rows as f64);
    }
    println!("{what}: {best:.3} µs a message");
}
