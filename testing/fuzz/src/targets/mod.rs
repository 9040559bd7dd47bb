//! The fuzz targets, by name.

mod access;
mod headers;
mod jira;
mod network;
mod renders;
mod replies;
mod requests;
mod servicenow;
mod settings;
mod tickets;

use std::sync::LazyLock;

use ticketing_server::vendors::VendorFlags;
use ticketing_vendor::Vendors;

use crate::{Shape, Target};

/// The vendors that the server supports.
static VENDORS: LazyLock<Vendors> = LazyLock::new(|| VendorFlags::default().vendors());

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "requests",
        promise: "a request of any method is taken, or refused with at most so many violations, each under its field",
        shape: Shape::Request,
        seeds: requests::seeds,
        run: requests::run,
    },
    Target {
        name: "render-adf",
        promise: "a taken incident becomes a document of the nodes that we write, within Jira's limits",
        shape: Shape::Message(renders::INCIDENT),
        seeds: crate::contract::incidents,
        run: renders::adf,
    },
    Target {
        name: "render-wiki",
        promise: "a taken incident becomes markup in which no text of it is markup, within Jira's limits",
        shape: Shape::Message(renders::INCIDENT),
        seeds: crate::contract::incidents,
        run: renders::wiki,
    },
    Target {
        name: "render-text",
        promise: "a taken incident becomes plain text without control characters or code tags, within ServiceNow's limits",
        shape: Shape::Message(renders::INCIDENT),
        seeds: crate::contract::incidents,
        run: renders::text,
    },
    Target {
        name: "jira-create",
        promise: "what Jira answers to a create is a whole ticket, or a fault that claims no more than is known",
        shape: Shape::Reply,
        seeds: jira::create_seeds,
        run: jira::create,
    },
    Target {
        name: "jira-search",
        promise: "only an issue that bears the marker is taken for the ticket",
        shape: Shape::Json,
        seeds: jira::search_seeds,
        run: jira::search,
    },
    Target {
        name: "jira-resources",
        promise: "what Jira says about itself, the account, the project and its create screen is read or left, and a ticket bears its marker",
        shape: Shape::Reply,
        seeds: jira::resources_seeds,
        run: jira::resources,
    },
    Target {
        name: "servicenow-create",
        promise: "what ServiceNow answers to a create is a whole ticket, or a fault that claims no more than is known",
        shape: Shape::Reply,
        seeds: servicenow::create_seeds,
        run: servicenow::create,
    },
    Target {
        name: "servicenow-search",
        promise: "only a record that bears the marker is taken for the ticket, its address is on the instance, and so is its group",
        shape: Shape::Json,
        seeds: servicenow::search_seeds,
        run: servicenow::search,
    },
    Target {
        name: "hidden-secret",
        promise: "a page that repeats a secret no longer has it in it, nor has its title",
        shape: Shape::Text,
        seeds: replies::hidden_seeds,
        run: replies::hidden,
    },
    Target {
        name: "certificate",
        promise: "a client certificate is read or not, and its names are as they stand in it",
        shape: Shape::Bytes,
        seeds: network::certificate_seeds,
        run: network::certificate,
    },
    Target {
        name: "frames",
        promise: "the frames of a connection are counted alike however they arrive",
        shape: Shape::Bytes,
        seeds: network::frames_seeds,
        run: network::frames,
    },
    Target {
        name: "target-address",
        promise: "an address that may be called without leave is https to the public Internet, and undisguised",
        shape: Shape::Text,
        seeds: network::address_seeds,
        run: network::address,
    },
    Target {
        name: "retry-after",
        promise: "no header asks for more than a day",
        shape: Shape::Text,
        seeds: headers::retry_after_seeds,
        run: headers::retry_after,
    },
    Target {
        name: "jwt",
        promise: "only claims that the identity provider signed are accepted, unchanged",
        shape: Shape::Text,
        seeds: access::jwt_seeds,
        run: access::jwt,
    },
    Target {
        name: "jwt-keys",
        promise: "a JWK set of whatever content is read or refused, and believes no token of another provider",
        shape: Shape::Json,
        seeds: access::keys_seeds,
        run: access::keys,
    },
    Target {
        name: "settings",
        promise: "what lies on the disk as settings is read as it was written or not at all, and is used only if it is sound",
        shape: Shape::Json,
        seeds: settings::seeds,
        run: settings::run,
    },
];
