//! The domain: incident, ticket content, delivery state machine, faults and the one port. No I/O.
