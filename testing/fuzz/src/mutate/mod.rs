//! Mutates inputs: mostly valid, with errors in one or a few places.

mod bytes;
mod hostile_text;
mod json;
mod message;
mod rng;

pub use rng::Rng;

use crate::{Shape, contract};

/// Maximum length of an input. Longer ones are for tests of limits.
const MAX_LENGTH: usize = 256 * 1024;

/// A mutation of `input`, possibly crossed with `other`.
#[must_use]
pub fn mutate(shape: Shape, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut mutated = input.to_vec();
    for _ in 0..=rng.below(4) {
        mutated = once(shape, &mutated, other, rng);
    }
    mutated.truncate(MAX_LENGTH);
    mutated
}

fn once(shape: Shape, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    // Some inputs are broken as a whole, whatever their structure.
    if rng.one_in(6) {
        return bytes::mutate(input, other, rng);
    }
    match shape {
        Shape::Bytes => bytes::mutate(input, other, rng),
        Shape::Text => bytes::mutate_text(input, other, rng),
        Shape::Json => json::mutate(input, rng).unwrap_or_else(|| bytes::mutate_text(input, other, rng)),
        Shape::Message(name) => message::mutate(&contract::message(name), input, rng)
            .unwrap_or_else(|| bytes::mutate(input, other, rng)),
        Shape::Request => request(input, other, rng),
        Shape::Reply => reply(input, other, rng),
    }
}

fn request(input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let Some((choice, request)) = input.split_first() else { return vec![rng.byte()] };
    let descriptor = contract::request(contract::method(*choice));
    let request = message::mutate(&descriptor, request, rng);
    let mut mutated = vec![if rng.one_in(50) { rng.byte() } else { *choice }];
    match request {
        Some(request) => mutated.extend(request),
        None => mutated.extend(bytes::mutate(&input[1..], other, rng)),
    }
    mutated
}

/// The body is mutated more often than the rest, in its own format.
fn reply(input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let Some(at) = input.windows(2).position(|pair| pair == b"\n\n") else {
        return bytes::mutate_text(input, other, rng);
    };
    let (head, body) = (&input[..at + 2], &input[at + 2..]);
    if rng.one_in(5) {
        let mut status = rng
            .pick(&["200", "201", "202", "301", "400", "403", "404", "409", "429", "503"])
            .as_bytes()
            .to_vec();
        let rest = head.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        status.extend_from_slice(&input[rest..]);
        return status;
    }
    if rng.one_in(5) {
        return [bytes::mutate_text(head, other, rng).as_slice(), body].concat();
    }
    let body = json::mutate(body, rng).unwrap_or_else(|| bytes::mutate_text(body, other, rng));
    [head, body.as_slice()].concat()
}
