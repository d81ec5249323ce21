use keymend::web::functions::payload::{Payload, doorbell};
use serde_json::{Value, json};

/// What the Functions host sends.
pub fn envelopes(body: &[u8]) {
    // As it is, and as what a trigger gave, once and twice encoded.
    open(body);
    let Ok(text) = std::str::from_utf8(body) else { return };
    let datum = Value::String(text.to_owned());
    let twice = Value::String(datum.to_string());
    for datum in [datum, twice] {
        open(json!({ "Data": { "job": datum, "req": datum }, "Metadata": {} }).to_string().as_bytes());
    }
}

fn open(body: &[u8]) {
    let payload = match Payload::read(body) {
        Ok(payload) => payload,
        // The words repeat nothing of the payload, so they are short whatever it holds.
        Err(why) => return super::is_for_people(&why.to_string(), 120),
    };
    let _ = payload.text("job");
    match doorbell(&payload, "job") {
        Ok(job) => {
            assert!(!job.is_empty());
            // However it came, it is the same call as when it comes plainly.
            let plain = json!({ "Data": { "job": { "v": 1, "job": job } } }).to_string();
            let plain = Payload::read(plain.as_bytes()).expect("a plain call is a payload");
            assert_eq!(doorbell(&plain, "job"), Ok(job));
        }
        Err(why) => super::is_for_people(&why.to_string(), 120),
    }
}
