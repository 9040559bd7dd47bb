//! Retries every failed delivery.
#![allow(clippy::print_stdout, reason = "a sample says what it did")]

use std::error::Error;

use rhythmx_ticketing::{Client, v1};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut client = Client::from_env().await?;
    let states = vec![v1::DeliveryState::Failed.into()];
    let filter = Some(v1::DeliveryFilter { states, ..Default::default() });
    let mut request = v1::ListDeliveriesRequest { filter, ..Default::default() };
    loop {
        let page = client.list_deliveries(request.clone()).await?;
        for failed in page.deliveries {
            let retry = v1::RetryDeliveryRequest { delivery_id: failed.id, ..Default::default() };
            let delivery = client.retry_delivery(retry).await?.delivery.unwrap_or_default();
            let state = delivery.state().as_str_name();
            let ticket = delivery.ticket.unwrap_or_default();
            println!("{} {state} {}", failed.incident_id, ticket.url);
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(());
        }
    }
}
