//! stub
pub(super) fn page(_: &crate::posture::report::Report) -> String {
    String::new()
}
