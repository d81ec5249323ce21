use keymend::domain::signal::{Reading, Signal, read, validation_code};

/// A body that comes to the door.
pub fn alerts(body: &[u8]) {
    let reading = read(body);
    assert_eq!(reading, read(body), "the same body reads the same");
    if let Some(code) = validation_code(body) {
        assert!(!code.is_empty());
    }
    match &reading {
        Reading::Signals(signals) => {
            assert!(!signals.is_empty(), "a reading of signals tells one at least");
            signals.iter().for_each(signal);
        }
        Reading::Ignored(why) | Reading::Malformed(why) => super::is_for_people(why, 400),
    }
}

/// One that is kept: short, clean, about a thing inside its subject, and the same when it is read again.
fn signal(signal: &Signal) {
    for (text, longest) in
        [(&signal.text, 1000), (&signal.caller, 200), (&signal.event_id, 256), (&signal.correlation_id, 200)]
    {
        text.iter().for_each(|text| super::is_for_people(text, longest));
    }
    assert!(signal.subject().contains(&signal.target), "{signal:?}");
    super::ids::id(&signal.target);
    let stored = serde_json::to_string(signal).expect("a signal can be stored");
    let again: Signal = serde_json::from_str(&stored).expect("a stored signal can be read");
    assert_eq!((&again, again.fingerprint()), (signal, signal.fingerprint()));
}
