//! What a collector is told about this process: OpenTelemetry's resource attributes (semantic conventions for service,
//! cloud and FaaS). `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win.

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;

/// The resource. `instance` tells processes apart; `env` reads the environment.
pub(super) fn resource(instance: &str, env: &dyn Fn(&str) -> Option<String>) -> Resource {
    let mut about = vec![
        KeyValue::new("service.name", "keymend"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance.to_owned()),
    ];
    // Set by Azure in every function app ("Environment variables and app settings in Azure App Service").
    let app = env("WEBSITE_SITE_NAME").filter(|name| !name.is_empty());
    if let Some(name) = app {
        about.push(KeyValue::new("cloud.provider", "azure"));
        about.push(KeyValue::new("cloud.platform", "azure_functions"));
        about.push(KeyValue::new("faas.name", name));
        let region = env("REGION_NAME").filter(|region| !region.is_empty());
        about.extend(region.map(|region| KeyValue::new("cloud.region", region)));
        let host = env("WEBSITE_INSTANCE_ID").filter(|id| !id.is_empty());
        about.extend(host.map(|id| KeyValue::new("faas.instance", id)));
    }
    let named = Resource::builder().build();
    let unnamed = |key: &Key| match named.get(key) {
        None => true,
        Some(value) => key.as_str() == "service.name" && value.as_str().starts_with("unknown_service"),
    };
    about.retain(|attribute| unnamed(&attribute.key));
    Resource::builder().with_attributes(about).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_app_is_told_from_a_machine() {
        let get = |resource: &Resource, key: &'static str| resource.get(&Key::new(key)).map(|value| value.to_string());
        let alone = resource("i-1", &|_| None);
        assert_eq!(get(&alone, "service.name").as_deref(), Some("keymend"));
        assert_eq!(get(&alone, "service.instance.id").as_deref(), Some("i-1"));
        assert_eq!(get(&alone, "faas.name"), None);
        let hosted = resource("i-2", &|name| (name == "WEBSITE_SITE_NAME").then(|| "func-keymend".to_owned()));
        assert_eq!(get(&hosted, "faas.name").as_deref(), Some("func-keymend"));
        assert_eq!(get(&hosted, "cloud.platform").as_deref(), Some("azure_functions"));
    }
}
