//! A plain HTTP client and the requests that the tests have in common.

use std::sync::Once;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use ticketing_simulator::{Profile, Simulator, Vendor};

/// A simulator and a client with valid credentials.
pub(crate) struct Site {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
    user: &'static str,
    secret: &'static str,
}

/// A status and a JSON body (null when it is none).
pub(crate) type Reply = (u16, Value);

impl Site {
    pub(crate) async fn cloud() -> Self {
        Self::with(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud)).await
    }

    pub(crate) async fn data_center() -> Self {
        Self::with(Vendor::JiraDataCenter, Profile::of(Vendor::JiraDataCenter)).await
    }

    pub(crate) async fn servicenow() -> Self {
        Self::with(Vendor::ServiceNow, Profile::of(Vendor::ServiceNow)).await
    }

    pub(crate) async fn with(vendor: Vendor, profile: Profile) -> Self {
        let (user, secret) = match vendor {
            Vendor::JiraCloud => ("analyst@example.com", "cloud-api-token"),
            Vendor::JiraDataCenter => ("analyst", "data-center-password"),
            Vendor::ServiceNow => ("rhythmx.integration", "servicenow-password"),
        };
        let simulator = Simulator::start(vendor, profile).await.unwrap();
        Self { simulator, client: client(), user, secret }
    }

    /// A request with no login and no headers.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.simulator.base_url()))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).basic_auth(self.user, Some(self.secret)).header("accept", "application/json")
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        reply(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        reply(self.request(method, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, body).await
    }
}

pub(crate) fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .unwrap()
}

pub(crate) async fn reply(response: Response) -> Reply {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// A complete issue for `POST /rest/api/3/issue` with these fields beside project, type and summary.
pub(crate) fn issue(fields: Value) -> Value {
    let mut all = json!({ "project": { "key": "SEC" }, "issuetype": { "name": "Task" }, "summary": "Logon from two countries" });
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({ "fields": all })
}

pub(crate) fn document(content: Value) -> Value {
    json!({ "type": "doc", "version": 1, "content": content })
}

pub(crate) fn paragraph(text: &str) -> Value {
    json!({ "type": "paragraph", "content": [{ "type": "text", "text": text }] })
}
