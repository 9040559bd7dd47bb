//! Inputs of a target as proptest strategies: valid ones with a few parts replaced, so that most of each input is
//! read to its end. proptest draws every choice, and shrinks what fails.

mod bytes;
mod hostile;
mod json;
mod message;

use proptest::prelude::*;
use proptest::strategy::Union;

use crate::{Shape, contract};

/// Maximum length of an input. Longer ones are for tests of limits.
const MAX_LENGTH: usize = 256 * 1024;

/// The most often that a part is kept for once that it is replaced.
const MAX_KEPT: u32 = 10_000;

/// About how many parts of an input are replaced: one, some, and many.
const REPLACED: [usize; 3] = [1, 3, 12];

/// Statuses that an HTTP intermediary or a ticket system answers with.
const STATUSES: [&str; 10] = ["200", "201", "202", "301", "400", "403", "404", "409", "429", "503"];

/// Inputs of a shape, from valid ones.
///
/// # Panics
/// If `seeds` is empty.
pub fn inputs(shape: Shape, seeds: &[Vec<u8>]) -> BoxedStrategy<Vec<u8>> {
    let each = seeds.iter().map(|seed| match shape {
        Shape::Bytes => None,
        Shape::Text => std::str::from_utf8(seed).ok().map(|text| bytes_of(hostile::altered(text))),
        Shape::Json => like_json(seed),
        Shape::Message(name) => message::encoded_like(&contract::message(name), seed),
        Shape::Request => request(seed),
        Shape::Reply => reply(seed),
    });
    let structured: Vec<_> = each.flatten().collect();
    // Some inputs are broken as a whole, whatever their structure.
    let unstructured = bytes::edited(seeds);
    let inputs = match structured.is_empty() {
        true => unstructured,
        false => prop_oneof![5 => Union::new(structured), 1 => unstructured].boxed(),
    };
    let shortened = |mut input: Vec<u8>| {
        input.truncate(MAX_LENGTH);
        input
    };
    inputs.prop_map(shortened).boxed()
}

/// Values like one that has `parts`: `like` takes how often each part is kept for once that it is replaced.
fn with_few_and_many_replaced<T: std::fmt::Debug + 'static>(
    parts: usize,
    like: impl Fn(u32) -> BoxedStrategy<T>,
) -> BoxedStrategy<T> {
    let kept = |replaced| u32::try_from(parts / replaced).unwrap_or(u32::MAX).clamp(1, MAX_KEPT);
    Union::new(REPLACED.map(|replaced| like(kept(replaced)))).boxed()
}

fn bytes_of(text: BoxedStrategy<String>) -> BoxedStrategy<Vec<u8>> {
    text.prop_map(String::into_bytes).boxed()
}

fn like_json(seed: &[u8]) -> Option<BoxedStrategy<Vec<u8>>> {
    let document: serde_json::Value = serde_json::from_slice(seed).ok()?;
    let alike = with_few_and_many_replaced(json::parts(&document), |kept| json::like(&document, kept));
    Some(alike.prop_map(|document| document.to_string().into_bytes()).boxed())
}

/// A request of the same method, or rarely the same message for another method.
fn request(seed: &[u8]) -> Option<BoxedStrategy<Vec<u8>>> {
    let (choice, request) = seed.split_first()?;
    let descriptor = contract::request(contract::method(*choice));
    let message = message::encoded_like(&descriptor, request)?;
    let choice = prop_oneof![50 => Just(*choice), 1 => any::<u8>()];
    Some((choice, message).prop_map(|(choice, message)| [vec![choice], message].concat()).boxed())
}

/// The body is altered more often than the rest, in its own format.
fn reply(seed: &[u8]) -> Option<BoxedStrategy<Vec<u8>>> {
    let (head, body) = std::str::from_utf8(seed).ok()?.split_once("\n\n")?;
    let (_, after_status) = head.split_at(head.find([' ', '\n']).unwrap_or(head.len()));
    let after_status = after_status.to_owned();
    let head = prop_oneof![
        4 => Just(head.to_owned()),
        1 => hostile::altered(head),
        1 => prop::sample::select(&STATUSES[..]).prop_map(move |status| format!("{status}{after_status}")),
    ];
    let body = like_json(body.as_bytes()).unwrap_or_else(|| bytes_of(hostile::altered(body)));
    Some((head, body).prop_map(|(head, body)| [head.as_bytes(), b"\n\n", body.as_slice()].concat()).boxed())
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::Target;

    /// The targets would read nothing to its end if most inputs were broken at once.
    #[test]
    fn many_generated_inputs_are_new_and_decode() {
        for name in ["requests", "render-adf", "jira-search", "settings"] {
            let target = Target::find(name).unwrap();
            let seeds = (target.seeds)();
            let strategy = inputs(target.shape, &seeds);
            let mut runner = TestRunner::deterministic();
            let drawn: Vec<Vec<u8>> =
                (0..200).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
            let is_good = |input: &&Vec<u8>| !seeds.contains(input) && decodes(target.shape, input);
            let good = drawn.iter().filter(is_good).count();
            assert!(good >= 100, "{good} of 200 for {name}");
        }
    }

    fn decodes(shape: Shape, input: &[u8]) -> bool {
        let is_message =
            |descriptor, bytes: &[u8]| prost_reflect::DynamicMessage::decode(descriptor, bytes).is_ok();
        match shape {
            Shape::Message(name) => is_message(contract::message(name), input),
            Shape::Request => input.split_first().is_some_and(|(choice, request)| {
                is_message(contract::request(contract::method(*choice)), request)
            }),
            _ => serde_json::from_slice::<serde_json::Value>(input).is_ok(),
        }
    }
}
