//! OpenFlow 1.3.5 codec.
