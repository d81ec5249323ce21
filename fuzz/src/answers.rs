use keymend::azure::shapes;
use serde_json::Value;

/// An answer of Resource Manager or Key Vault.
pub fn answers(body: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
    let shapes = shapes::of(&body);
    assert_eq!(shapes, shapes::of(&body), "the same answer reads the same");
    for status in [400, 403, 404, 409, 500] {
        let error = shapes::refused(status, &body);
        assert!(error.to_string().chars().count() < 4000, "{error}");
        // Only Azure's own word for it makes a thing absent: what is absent may be made anew.
        assert!(!error.is_not_found() || status == 404, "{error}");
        let _ = error.missing_right();
    }
    // What has no fields tells nothing, whatever it is taken for.
    if !body.is_object() {
        let read: Vec<_> = shapes.iter().filter(|shape| shape.read.is_ok()).collect();
        assert!(read.is_empty(), "{body} was read: {read:?}");
    }
}
