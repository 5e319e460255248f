//! Settings of flows. Thousands of connections have the same: they are kept once.

use alloc::sync::Arc;

use manypath_tcp::Config;

/// What the flows of an endpoint's connections begin with. The connection decides for them when
/// less than a packet leaves, so that Nagle's algorithm is off.
#[derive(Clone, Debug)]
pub(super) struct FlowConfigs {
    /// Of connections, and of joins that come in.
    pub(super) usual: Arc<Config>,
    /// Of joins that go out. One SYN an attempt: the path manager decides when the next one goes
    /// out.
    pub(super) join: Arc<Config>,
}

impl FlowConfigs {
    pub(super) fn new(config: &Config) -> Self {
        let usual = Config { nagle: false, ..*config };
        let join = Config { syn_retries: 0, ..usual };
        Self { usual: Arc::new(usual), join: Arc::new(join) }
    }
}
