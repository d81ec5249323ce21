//! Lists in pages, followed only at the Resource Manager itself.

use serde_json::Value;
use url::Url;

use crate::azure::error::AzureError;
use crate::azure::request::Request;
use crate::azure::transport::Azure;

/// Pages of one list. SQL allows 5,000 databases a server, and pages hold 100 or more.
const MOST_PAGES: usize = 60;

impl Azure {
    /// All items of a list. Following pages are asked only of the Resource Manager itself.
    ///
    /// Answers an error rather than part of a list: what is missing could be taken for absent.
    pub(crate) async fn list(&self, request: Request) -> Result<Vec<Value>, AzureError> {
        let what = request.what();
        let (items, complete) = self.some_pages(request, MOST_PAGES).await?;
        if complete {
            return Ok(items);
        }
        Err(AzureError::BadAnswer { what, why: format!("the list has more than {MOST_PAGES} pages") })
    }

    /// All items of a list, each parsed.
    pub(crate) async fn parsed_list<T>(
        &self,
        request: Request,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<Vec<T>, AzureError> {
        let what = request.what();
        let items = self.list(request).await?;
        items.iter().map(parse).collect::<Result<_, _>>().map_err(|why| AzureError::BadAnswer { what, why })
    }

    /// The items of up to `most` pages, and whether that was all.
    pub(crate) async fn some_pages(&self, mut request: Request, most: usize) -> Result<(Vec<Value>, bool), AzureError> {
        let mut items = Vec::new();
        for _ in 0..most {
            let answer = self.perform(&request).await?;
            let page = answer.body["value"].as_array().ok_or_else(|| answer.bad("it has no list named value"))?;
            items.extend_from_slice(page);
            let next = match &answer.body["nextLink"] {
                Value::Null => return Ok((items, true)),
                Value::String(next) if next.is_empty() => return Ok((items, true)),
                Value::String(next) => next,
                _ => return Err(answer.bad("its nextLink is no text")),
            };
            let url =
                self.same_arm(next).ok_or_else(|| answer.bad("its next page lies outside the Resource Manager"))?;
            url.path().clone_into(&mut request.path);
            request.query = url.query().unwrap_or_default().to_owned();
        }
        Ok((items, false))
    }

    /// A URL that Azure gave, resolved against the Resource Manager, if it stays there.
    pub(crate) fn same_arm(&self, text: &str) -> Option<Url> {
        let arm = self.endpoints().arm();
        let url = arm.join(text.trim()).ok()?;
        let bare = url.username().is_empty() && url.password().is_none();
        (bare && url.origin() == arm.origin()).then_some(url)
    }
}
