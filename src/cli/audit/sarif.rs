//! stub
pub(super) fn log(_: &crate::posture::report::Report) -> serde_json::Value {
    serde_json::Value::Null
}
