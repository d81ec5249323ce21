//! Who does something in the cloud.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Who does something in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Actor {
    /// A person's user principal name; absent for an application.
    pub upn: Option<String>,
    /// The Entra object id.
    pub object_id: String,
    /// The application (client) id that signed in, or through which the person did.
    pub app_id: String,
    /// The address the call came from.
    pub address: String,
}

impl Default for Actor {
    fn default() -> Self {
        Self {
            upn: None,
            object_id: "0b0b0b0b-0000-4000-8000-000000000001".to_owned(),
            app_id: "04b07795-8ddb-461a-bbee-02f9e1bf7b46".to_owned(),
            address: "203.0.113.7".to_owned(),
        }
    }
}

impl Actor {
    /// A person, signed in to the command line of Azure.
    #[must_use]
    pub fn person(upn: &str) -> Self {
        let object_id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, upn.as_bytes()).to_string();
        Self { upn: Some(upn.to_owned()), object_id, ..Self::default() }
    }

    /// An application, such as a pipeline.
    #[must_use]
    pub fn application(app_id: &str, object_id: &str) -> Self {
        Self { object_id: object_id.to_owned(), app_id: app_id.to_owned(), ..Self::default() }
    }

    /// What the log shows as `caller`: a person's UPN, an application's object id.
    pub(crate) fn caller(&self) -> &str {
        self.upn.as_deref().unwrap_or(&self.object_id)
    }

    /// The claims of its token, as far as they matter.
    pub(crate) fn claims(&self, tenant: &str) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: &str| claims.insert(name.to_owned(), json!(value));
        put("aud", "https://management.core.windows.net/");
        put("iss", &format!("https://sts.windows.net/{tenant}/"));
        put("appid", &self.app_id);
        put("appidacr", if self.upn.is_some() { "0" } else { "2" });
        put("http://schemas.microsoft.com/identity/claims/objectidentifier", &self.object_id);
        put("http://schemas.microsoft.com/identity/claims/tenantid", tenant);
        if let Some(upn) = &self.upn {
            put("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", upn);
            put("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", upn);
            put("name", upn.split('@').next().unwrap_or(upn));
        } else {
            put("idtyp", "app");
        }
        put("ver", "1.0");
        claims
    }
}
