//! Output of the demonstration.

#![expect(clippy::print_stdout, reason = "the demonstration prints to standard output")]

use std::sync::atomic::{AtomicU32, Ordering};

use super::environment::Environment;

/// Prints the steps.
#[derive(Debug, Default)]
pub(super) struct Output {
    steps: AtomicU32,
}

// === impl Output ===

impl Output {
    /// The title of the next step.
    pub(super) fn step(&self, title: &str) {
        let number = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        println!("\n{number:>2}. {title}");
    }

    pub(super) fn line(&self, text: &str) {
        println!("    {text}");
    }

    /// Prints an indented multi-line text.
    pub(super) fn quote(&self, text: &str) {
        for line in text.lines() {
            println!("    | {line}");
        }
    }

    pub(super) fn print_commands(&self, environment: &Environment) {
        let address = &environment.address;
        let service = "rhythmx.ticketing.v1.TicketingService";
        println!("\n    The server stays up until ctrl-c. Try, in another terminal:\n");
        let lines = [
            format!("grpcurl -plaintext {address} list {service}"),
            format!("grpcurl -plaintext {address} {service}/GetStatus"),
            format!("grpcurl -plaintext -d '{{\"connection\":\"jira\"}}' {address} {service}/TestConnection"),
            format!("grpcurl -plaintext {address} {service}/ListDeliveries"),
            format!("grpcurl -plaintext -d '{{\"oldest\":{{}}}}' {address} {service}/StreamTicketEvents"),
            format!(
                "grpcurl -plaintext -d \"{{\\\"incident\\\": $(cat examples/incident-medium.json), \\\"connection\\\": \
                 \\\"jira\\\"}}\" {address} {service}/CreateTicket"
            ),
        ];
        for line in lines {
            println!("    {line}");
        }
        println!(
            "\n    Jira is simulated at {} and ServiceNow at {}.",
            environment.jira.base_url(),
            environment.servicenow.base_url()
        );
        println!("    Its tickets: curl -s {}/tickets", environment.jira.control_url());
    }
}
