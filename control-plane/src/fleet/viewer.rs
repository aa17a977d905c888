//! Who looks: a proxy by its id and labels, and the view that they give it.

use sluice_intent::Labels;
use sluice_proto::v1;

use crate::compile::ViewKey;
use crate::live::{self, Published};

/// One proxy, as far as its view follows from it.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    proxy: String,
    /// What it says of itself.
    labels: Labels,
    view: ViewKey,
    /// The publication's, when the view was looked up.
    membership: u64,
}

impl Viewer {
    pub(super) fn new(hello: &v1::Hello, published: &Published) -> Self {
        let labels = hello.labels.iter();
        let labels = live::readable(labels.map(|label| (&*label.name, &*label.value)));
        Self {
            view: published.view_of(&hello.proxy_id, &labels),
            membership: published.membership(),
            proxy: hello.proxy_id.clone(),
            labels,
        }
    }

    pub(super) fn view(&self) -> &ViewKey {
        &self.view
    }

    /// Whether the proxy has another view by now; it is looked up only where that can be.
    pub(super) fn look_up(&mut self, published: &Published) -> bool {
        let membership = published.membership();
        if self.membership == membership {
            return false;
        }
        self.membership = membership;
        let before = std::mem::replace(&mut self.view, published.view_of(&self.proxy, &self.labels));
        before != self.view
    }
}
