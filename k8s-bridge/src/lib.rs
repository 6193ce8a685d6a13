//! The way from Kubernetes to Isolane: pods that ask for networks become
//! attachments, by the controller's REST API. No OpenFlow, and no state that
//! a restart could lose.
