//! How many creates may begin in a second, once a ticket system has answered 429: the rate that it accepted last, then
//! growth along the curve of CUBIC (RFC 9438), as in the adaptive retry mode of the AWS SDKs. Before the first 429 there is
//! no limit.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

/// The accepted rate is measured over this time.
const WINDOW: Duration = Duration::from_secs(3);
const MIN_WINDOW: Duration = Duration::from_secs(1);
/// The accepted rate is multiplied by this at a 429.
const DECREASE: f64 = 0.85;
/// Time until the rate of the last 429 is reached again.
const RECOVERY: Duration = Duration::from_secs(20);
/// A 429 this long ago limits nothing any more.
const MEMORY: Duration = Duration::from_secs(300);
/// A 429 never lowers the rate further, in creates a second.
const MIN_RATE: f64 = 0.2;
/// The rate after a 429 before anything was accepted.
const ASSUMED_RATE: f64 = 2.0;
/// The rate grows at least by this share of the accepted one in each second, as CUBIC grows at least as fast as Reno:
/// otherwise a few refusals in a row would hold a low rate for minutes.
const MIN_GROWTH: f64 = 0.01;
/// Creates that may begin at once after a lull, in seconds of the rate.
const BURST: f64 = 0.5;

/// An adaptive limit of creates in a second.
#[derive(Debug, Clone, Default)]
pub struct SendRate {
    /// When creates succeeded, within the window.
    succeeded: VecDeque<Timestamp>,
    limit: Option<Limit>,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    /// When the ticket system answered 429.
    since: Timestamp,
    /// The rate that it accepted until then, in creates a second.
    accepted: f64,
    /// Creates that may begin now; negative if too many began.
    tokens: f64,
    counted_at: Timestamp,
}

// === impl SendRate ===

impl SendRate {
    /// A create succeeded.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.succeeded.push_back(now);
        self.forget(now);
    }

    /// A create that began at `began` was answered with a 429. Those that began before the last one say nothing new.
    pub fn throttled(&mut self, began: Timestamp, now: Timestamp) {
        if self.limit.is_some_and(|limit| began < limit.since) {
            return;
        }
        self.forget(now);
        let tried = self.limit.map(|limit| limit.rate(now));
        let accepted = match (self.accepted(now), tried) {
            // Nothing was accepted recently, as after a pause: so nothing is known of the rate.
            (0.0, tried) => tried.unwrap_or(ASSUMED_RATE / DECREASE),
            (measured, tried) => tried.map_or(measured, |tried| measured.min(tried)),
        };
        let accepted = accepted.max(MIN_RATE / DECREASE);
        self.limit = Some(Limit { since: now, accepted, tokens: 0.0, counted_at: now });
    }

    /// How many creates may begin now.
    pub fn available(&mut self, now: Timestamp) -> usize {
        let Some(limit) = self.limit(now) else { return usize::MAX };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at least 0")]
        let whole = limit.tokens.max(0.0) as usize;
        whole
    }

    /// When the next create may begin, if none may now.
    pub fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        let limit = self.limit(now)?;
        let missing = (1.0 - limit.tokens).max(0.0);
        (missing > 0.0).then(|| now + Duration::from_secs_f64(missing / limit.rate(now)))
    }

    /// Creates begin.
    pub fn spend(&mut self, creates: usize) {
        if let Some(limit) = &mut self.limit {
            #[expect(clippy::cast_precision_loss, reason = "a claim has fewer than 2^52 creates")]
            let creates = creates as f64;
            limit.tokens -= creates;
        }
    }

    /// The limit, with the tokens of now.
    fn limit(&mut self, now: Timestamp) -> Option<Limit> {
        self.limit = self.limit.filter(|limit| limit.age(now) < MEMORY.as_secs_f64());
        let limit = self.limit.as_mut()?;
        let rate = limit.rate(now);
        let passed = now.duration_since(limit.counted_at).as_secs_f64().max(0.0);
        limit.tokens = (limit.tokens + passed * rate).min((rate * BURST).max(1.0));
        limit.counted_at = now;
        Some(*limit)
    }

    /// The rate that was accepted last, in creates a second: over the window, or since the first create if that is shorter.
    fn accepted(&self, now: Timestamp) -> f64 {
        let Some(first) = self.succeeded.front() else { return 0.0 };
        let measured = now.duration_since(*first).unsigned_abs().clamp(MIN_WINDOW, WINDOW);
        #[expect(clippy::cast_precision_loss, reason = "a window has fewer than 2^52 creates")]
        let succeeded = self.succeeded.len() as f64;
        succeeded / measured.as_secs_f64()
    }

    fn forget(&mut self, now: Timestamp) {
        while self.succeeded.front().is_some_and(|first| now.duration_since(*first).unsigned_abs() > WINDOW) {
            self.succeeded.pop_front();
        }
    }
}

// === impl Limit ===

impl Limit {
    /// Seconds since the 429.
    fn age(&self, now: Timestamp) -> f64 {
        now.duration_since(self.since).as_secs_f64().max(0.0)
    }

    /// Creates in a second: the accepted rate after [`RECOVERY`], less before, more afterwards.
    fn rate(&self, now: Timestamp) -> f64 {
        let recovery = RECOVERY.as_secs_f64();
        let curve = ((self.age(now) - recovery) / recovery).powi(3);
        let cubic = self.accepted * (1.0 + (1.0 - DECREASE) * curve);
        cubic.max(self.accepted * (DECREASE + MIN_GROWTH * self.age(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of 10 ms; a ticket system that accepts `per_second` creates, with a burst of as many.
    fn play(per_second: f64, seconds: u32) -> (u32, u32) {
        let mut rate = SendRate::default();
        let mut created = 0;
        let mut throttled = 0;
        let mut bucket = per_second;
        let mut paused_until = Timestamp::UNIX_EPOCH;
        for tick in 0..seconds * 100 {
            let now = Timestamp::UNIX_EPOCH + Duration::from_millis(u64::from(tick) * 10);
            bucket = (bucket + per_second / 100.0).min(per_second);
            // Four creates at a time, each of 300 ms.
            let free = usize::from(tick % 8 == 0);
            if now < paused_until || rate.available(now).min(free) == 0 {
                continue;
            }
            rate.spend(1);
            if bucket >= 1.0 {
                bucket -= 1.0;
                created += 1;
                rate.succeeded(now);
            } else {
                throttled += 1;
                rate.throttled(now, now);
                paused_until = now + Duration::from_secs(1);
            }
        }
        (created, throttled)
    }

    #[test]
    fn settles_below_the_limit_of_the_ticket_system() {
        let (created, throttled) = play(10.0, 100);
        assert!(created >= 900, "{created} created, {throttled} throttled");
        assert!(throttled < created / 100, "{created} created, {throttled} throttled");
    }

    #[test]
    fn settles_below_the_limit_of_a_slow_ticket_system() {
        let (created, throttled) = play(1.0, 100);
        assert!(created >= 80, "{created} created, {throttled} throttled");
        assert!(throttled <= created / 8, "{created} created, {throttled} throttled");
    }

    #[test]
    fn nothing_is_limited_before_the_first_429() {
        let mut rate = SendRate::default();
        rate.spend(1_000);
        assert_eq!(rate.available(Timestamp::UNIX_EPOCH), usize::MAX);
        assert_eq!(rate.next(Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn a_429_is_forgotten_after_five_minutes() {
        let start = Timestamp::UNIX_EPOCH;
        let mut rate = SendRate::default();
        rate.throttled(start, start);
        assert_eq!(rate.available(start), 0);
        assert_eq!(rate.next(start), Some(start + Duration::from_millis(500)));
        assert_eq!(rate.available(start + Duration::from_secs(301)), usize::MAX);
    }

    #[test]
    fn refusals_of_one_round_count_once() {
        let start = Timestamp::UNIX_EPOCH;
        let later = start + Duration::from_secs(1);
        let mut rate = SendRate::default();
        (0..30).for_each(|_| rate.succeeded(start));
        rate.throttled(start, later);
        let first = rate.next(later);
        rate.throttled(start, later);
        assert_eq!(rate.next(later), first);
    }
}
