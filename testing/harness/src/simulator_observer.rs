//! A callback for each simulator that a world starts.

use std::fmt;

use ticketing_simulator::Simulator;

/// Called with each simulator after its start.
#[derive(Default)]
pub(crate) struct SimulatorObserver(Option<Box<Callback>>);

type Callback = dyn Fn(&Simulator) + Send;

impl SimulatorObserver {
    pub(crate) fn new(watch: impl Fn(&Simulator) + Send + 'static) -> Self {
        Self(Some(Box::new(watch)))
    }

    pub(crate) fn observe(&self, simulators: [&Simulator; 2]) {
        if let Self(Some(watch)) = self {
            simulators.into_iter().for_each(watch);
        }
    }
}

impl fmt::Debug for SimulatorObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatorObserver(..)")
    }
}
